//! Training that starts from files.

use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;
use serde::{Deserialize, Serialize};
use zosam::model_file::{Card, Configuration, SaveOptions, load, start_from};
use zosam::{Dsr, RigL, ZoSamConfig};

use super::*;

/// A module that is not this crate's.
#[derive(Module, Debug)]
struct Net {
    hidden: Linear,
    output: Linear,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct NetConfig {
    hidden: usize,
    classes: usize,
}

impl Configuration for NetConfig {
    const FAMILY: &'static str = "test-net";
    const CLASSIFIERS: &'static [&'static str] = &["output."];
    type Model = Net;

    fn init(&self, device: &Device) -> zosam::Result<Net> {
        Ok(Net {
            hidden: LinearConfig::new(16, self.hidden).init(device),
            output: LinearConfig::new(self.hidden, self.classes).init(device),
        })
    }

    fn classes(&self) -> Option<usize> {
        Some(self.classes)
    }
}

impl Net {
    fn loss(&self) -> Tensor<1> {
        let shape = [8, 16];
        let count: usize = shape.iter().product();
        let numbers: Vec<f32> = (0..count).map(|i| (i % 7) as f32 - 3.0).collect();
        let data = burn::tensor::TensorData::new(numbers, shape);
        let inputs = Tensor::<2>::from_data(data, &device());
        let outputs = self.output.forward(self.hidden.forward(inputs).tanh());
        (outputs - 1.0).powi_scalar(2).mean()
    }
}

fn trained_by(mut sparsity: Sparsity, model: Net, steps: usize) -> (Net, Sparsity) {
    let mut optim = ZoSamConfig::new().init(SgdConfig::new().init()).unwrap();
    let mut model = sparsity.attach(model, Net::loss).unwrap();
    for _ in 0..steps {
        (model, _) = optim
            .step_with(0.1, model, &mut sparsity, Net::loss)
            .unwrap();
    }
    (model, sparsity)
}

/// Trained by DSR to 90 %, saved, and fine-tuned: the weights move, the live positions do not.
#[test]
fn a_sparse_net_is_fine_tuned_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let config = NetConfig {
        hidden: 40,
        classes: 5,
    };
    let fresh = config.init(&device()).unwrap();
    let (model, sparsity) = trained_by(Sparsity::new(Dsr::new(0.9).every(2).until(8)), fresh, 10);
    let names = ["a", "b", "c", "d", "e"];
    let card = Card::new(&config).unwrap().with_classes(names).unwrap();
    let options = SaveOptions::new().with_card(card);
    options.save(&path, &model, sparsity.masks()).unwrap();

    let loaded = load::<NetConfig>(&path, &device()).unwrap();
    assert_eq!(loaded.config, config);
    assert_eq!(fingerprint(&loaded.model), fingerprint(&model));
    let before = loaded.masks.fingerprint();
    assert_eq!(before, sparsity.masks().fingerprint());
    let (tuned, kept) = trained_by(Sparsity::from_masks(loaded.masks.clone()), loaded.model, 10);
    assert_eq!(kept.masks().fingerprint(), before);
    assert_ne!(fingerprint(&tuned), fingerprint(&model));
    // A live weight may be zero: one that DSR has grown before a unit that nothing reads.
    let nonzero = Masks::from_nonzeros(&tuned);
    for leaf in kept.masks().leaves() {
        let sets = [&nonzero, kept.masks()].map(|masks| masks.live_set(leaf.id).unwrap());
        let mut pairs = sets[0].iter().zip(&sets[1]);
        assert!(pairs.all(|(nonzero, live)| *live || !nonzero));
    }
    // A method that exchanges weights may begin with them, too.
    let model = load::<NetConfig>(&path, &device()).unwrap().model;
    let rigl = Sparsity::new(RigL::new(0.9).until(1000)).starting_from(loaded.masks);
    let (_, begun) = trained_by(rigl, model, 0);
    assert_eq!(begun.masks().fingerprint(), before);
}

/// Other classes: all but the classifier is the file's, masks included.
#[test]
fn other_classes_keep_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let config = NetConfig {
        hidden: 40,
        classes: 3,
    };
    let fresh = config.init(&device()).unwrap();
    let (model, sparsity) = trained_by(Sparsity::new(RandomStatic::new(0.5)), fresh, 1);
    let card = Card::new(&config)
        .unwrap()
        .with_classes(["a", "b", "c"])
        .unwrap();
    let options = SaveOptions::new().with_card(card);
    options.save(&path, &model, sparsity.masks()).unwrap();

    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    let start = |classes: usize, names: &[String]| {
        let config = NetConfig { classes, ..config };
        start_from(&path, &config, names, &device()).unwrap()
    };
    let same = |start: &zosam::model_file::Start<Net>| {
        assert_eq!(
            start.model.hidden.weight.to_data(),
            model.hidden.weight.to_data()
        );
        let kept = start.masks.live_set(start.model.hidden.weight.id);
        assert_eq!(kept, sparsity.masks().live_set(model.hidden.weight.id));
        start.model.output.weight.to_data() == model.output.weight.to_data()
    };
    // The same classes, or of unknown names.
    for known in [names(&["a", "b", "c"]), Vec::new()] {
        let start = start(3, &known);
        assert!(same(&start) && start.other_classes.is_none());
        assert_eq!(start.masks.fingerprint(), sparsity.masks().fingerprint());
    }
    // Others, as many of them; and another number.
    for (classes, known) in [(3, names(&["a", "b", "d"])), (7, Vec::new())] {
        let start = start(classes, &known);
        assert!(!same(&start));
        assert_eq!(start.other_classes, Some(3));
        assert_eq!(start.model.output.weight.dims(), [40, classes]);
        assert!(!start.masks.contains(start.model.output.weight.id));
        // The classifier is dense and trains.
        let (_, kept) = trained_by(Sparsity::from_masks(start.masks.clone()), start.model, 2);
        assert_eq!(kept.masks().fingerprint(), start.masks.fingerprint());
    }
}

/// A DeiT for images of another size: its position embedding is resampled, the rest is the file's.
#[test]
fn a_deit_changes_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deit.safetensors");
    let config = DeitConfig::tiny(10).with_image([16, 16]).with_patch(4);
    let config = config.with_width(24, 3).with_depth(2);
    let model = config.init(&device()).unwrap();
    save_model(&path, &model, &Masks::dense()).unwrap();
    let larger = config.clone().with_image([24, 20]);
    let start = start_from(&path, &larger, &[], &device()).unwrap();
    assert!(start.resampled);
    let expected = model.resized([24, 20]).unwrap();
    assert_eq!(fingerprint(&start.model), fingerprint(&expected));
    let start = start_from(&path, &config, &[], &device()).unwrap();
    assert!(!start.resampled);
}
