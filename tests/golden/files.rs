//! Model files that travel between PyTorch and this crate, both ways (`make_files.py`).

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zosam::masks::Masks;
use zosam::model_file::{Configuration, SaveOptions, load_model, save_model, shapes, start_from};
use zosam::models::{
    Deit, DeitConfig, ResNet, ResNetConfig, ResNetVariant, Vgg, VggConfig, WideResNet,
    WideResNetConfig,
};
use zosam::{RandomStatic, Sparsity, tree};

use crate::reference::{Tensors, assert_close, numbers, read, torch_name, with_state};

/// Logits are of order 1 to 10; the two sum in different orders.
const TOLERANCE: f32 = 1e-4;
const BATCH: usize = 4;
const PIXELS: usize = 16;

#[derive(Deserialize)]
struct Golden {
    /// PyTorch's files.
    written: BTreeMap<String, Written>,
    /// This crate's.
    read: BTreeMap<String, Read>,
}

#[derive(Deserialize)]
struct Written {
    family: String,
    logits: Vec<f32>,
    /// Live weights of those that have dead ones.
    live: usize,
}

#[derive(Deserialize)]
struct Read {
    sha256: String,
    logits: Vec<f32>,
}

/// What is done with each network.
trait Task {
    fn run<C: Configuration>(&self, config: C, forward: fn(&C::Model, Tensor<4>) -> Tensor<2>);
}

fn with_family(family: &str, task: &impl Task) {
    match family {
        "resnet" => {
            let config = ResNetConfig::resnet32(10).with_depth(8).with_width(4);
            task.run(config.with_variant(ResNetVariant::Grasp), ResNet::forward);
        }
        "vgg" => task.run(VggConfig::vgg11(10).with_width(2), Vgg::forward),
        "wide_resnet" => {
            let config = WideResNetConfig {
                base: 4,
                ..WideResNetConfig::new(10, 1, 10)
            };
            task.run(config, WideResNet::forward);
        }
        "deit" => {
            let config = DeitConfig::tiny(10).with_image([PIXELS; 2]).with_patch(4);
            let config = config.with_width(12, 3).with_depth(1);
            task.run(config, Deit::forward);
        }
        other => panic!("{other}"),
    }
}

fn logits<M: Module>(model: &M, forward: fn(&M, Tensor<4>) -> Tensor<2>) -> Vec<f32> {
    let shape = [BATCH, 3, PIXELS, PIXELS];
    let images = numbers("images", shape.iter().product(), 2.0);
    let images = Tensor::from_data(TensorData::new(images, shape), &Device::flex());
    forward(&model.valid(), images)
        .to_data()
        .iter::<f32>()
        .collect()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/files")
}

struct Loading<'a> {
    name: &'a str,
    expected: &'a Written,
}

impl Task for Loading<'_> {
    fn run<C: Configuration>(&self, config: C, forward: fn(&C::Model, Tensor<4>) -> Tensor<2>) {
        let path = folder().join(self.name);
        let model = config.init(&Device::flex()).unwrap();
        let (model, masks) = load_model(&path, model).unwrap();
        let logits = logits(&model, forward);
        assert_close(self.name, &logits, &self.expected.logits, TOLERANCE);
        // Masks come along where the file has them, and the zeros of one without are found.
        let is_zeros = self.name.contains("zeros");
        assert_eq!(masks.is_dense(), self.expected.live == 0 || is_zeros);
        let found = Masks::from_nonzeros(&model);
        assert_eq!(found.live_weights(), self.expected.live, "{}", self.name);
        if !masks.is_dense() {
            assert_eq!(masks.fingerprint(), found.fingerprint());
        }
        // The names that a configuration is chosen by have no prefix.
        let bias = format!("{}bias", C::CLASSIFIERS[0]);
        assert_eq!(shapes(&path).unwrap()[&bias], [10], "{}", self.name);
        let start = start_from(&path, &config, &[], &Device::flex()).unwrap();
        assert_eq!(start.other_classes, None);
        assert_eq!(start.masks.fingerprint(), masks.fingerprint());
    }
}

/// Averages, compiled and wrapped models, parts of larger ones, pruned ones: what PyTorch computes with its weights, this crate does.
#[cfg(feature = "pytorch")]
#[test]
fn files_of_pytorch_are_read() {
    let golden: Golden = read("files");
    assert_eq!(golden.written.len(), 6);
    for (name, expected) in &golden.written {
        with_family(&expected.family, &Loading { name, expected });
    }
}

struct Saving<'a>(&'a str);

impl Task for Saving<'_> {
    fn run<C: Configuration>(&self, config: C, forward: fn(&C::Model, Tensor<4>) -> Tensor<2>) {
        let golden: Golden = read("files");
        let model = filled(config.init(&Device::flex().autodiff()).unwrap());
        let mut sparsity = Sparsity::new(RandomStatic::new(0.8));
        let no_loss = |_: &C::Model| -> Tensor<1> { unreachable!("random masks need no loss") };
        let model = sparsity.attach(model, no_loss).unwrap();
        // They stay there, for `make_files.py` to read.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("files");
        std::fs::create_dir_all(&folder).unwrap();
        let [dense, sparse] =
            ["dense", "sparse"].map(|kind| format!("{}-{kind}.safetensors", self.0));
        let options = SaveOptions::new().dense();
        options
            .save(folder.join(&dense), &model, sparsity.masks())
            .unwrap();
        save_model(folder.join(&sparse), &model, sparsity.masks()).unwrap();
        let own = logits(&model, forward);
        for name in [dense, sparse] {
            let bytes = std::fs::read(folder.join(&name)).unwrap();
            let digest = Sha256::digest(&bytes);
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            let expected = golden.read.get(&name);
            let expected = expected.unwrap_or_else(|| panic!("PyTorch has not read {name}"));
            assert_eq!(
                hex, expected.sha256,
                "{name} is not the file that PyTorch read"
            );
            assert_close(&name, &own, &expected.logits, TOLERANCE);
        }
    }
}

/// `fill` of `make_files.py`.
fn filled<M: Module>(model: M) -> M {
    let state = tree::named_tensors(&model).into_iter().map(|(path, data)| {
        let name = torch_name(&path);
        let shape = data.shape();
        let many = shape.len() > 1
            && !name
                .split('.')
                .next()
                .is_some_and(|part| part.contains("embed"))
            && !name.contains("token");
        // Inputs of an output: all but the first axis of PyTorch's shape, which is the last of a linear layer's here.
        let fan_in = match &shape[..] {
            [inputs, _] => *inputs,
            [_, rest @ ..] => rest.iter().product(),
            [] => 1,
        };
        let scale = if many {
            (3.0 / fan_in as f64).sqrt()
        } else {
            0.3
        };
        let mut values = numbers(&name, data.num_elements(), scale);
        if shape.len() == 1 && (name.ends_with("weight") || name.ends_with("running_var")) {
            values.iter_mut().for_each(|value| *value += 1.0);
        }
        (name, values)
    });
    let state = state.collect::<Tensors>();
    with_state(model, &state)
}

/// Dense files by PyTorch's own one line, sparse ones by the ten of docs/MODEL_FILES.md: PyTorch computes the same with them.
#[test]
fn pytorch_reads_files() {
    for family in ["resnet", "vgg", "wide_resnet", "deit"] {
        with_family(family, &Saving(family));
    }
}
