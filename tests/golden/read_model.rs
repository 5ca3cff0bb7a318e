//! A sparse model file in Python: what the ten lines of docs/MODEL_FILES.md read is what was saved.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use zosam::model_file::save_model;
use zosam::models::{ResNet, ResNetConfig};
use zosam::{RandomStatic, Sparsity, tree};

use crate::reference::{Tensors, numbers, state_of, torch_name, with_state};

/// `read_model.py` has printed `sparse.txt` of `sparse.safetensors`, which is the file that the crate writes of this model, byte for
/// byte: shapes, live weights, and sums in which every value counts by its place.
#[test]
fn python_reads_what_was_saved() {
    let golden = |name| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(name)
    };
    let config = ResNetConfig::resnet32(10).with_depth(8).with_width(4);
    let model = config.init(&Device::flex().autodiff()).unwrap();
    let state = tree::named_tensors(&model).into_iter().map(|(path, data)| {
        let name = torch_name(&path);
        let values = numbers(&name, data.num_elements(), 1.0);
        (name, values)
    });
    let model = with_state(model, &state.collect::<Tensors>());
    let mut sparsity = Sparsity::new(RandomStatic::new(0.8));
    let no_loss = |_: &ResNet| -> Tensor<1> { unreachable!("random masks need no loss") };
    let model = sparsity.attach(model, no_loss).unwrap();

    // It stays there, to be copied should the format change.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sparse.safetensors");
    save_model(&path, &model, sparsity.masks()).unwrap();
    let bytes = [&path, &golden("sparse.safetensors")].map(|path| std::fs::read(path).unwrap());
    assert!(bytes[0] == bytes[1], "{} is another file", path.display());

    let shapes = tree::named_tensors(&model).into_iter().map(|(path, data)| {
        let mut shape: Vec<usize> = data.shape().iter().copied().collect();
        if shape.len() == 2 {
            shape.reverse();
        }
        (torch_name(&path), shape)
    });
    let saved = state_of(&model);
    let printed = std::fs::read_to_string(golden("sparse.txt")).unwrap();
    assert_eq!(printed.lines().count(), saved.len());
    for (line, (name, shape)) in printed
        .lines()
        .zip(shapes.collect::<std::collections::BTreeMap<_, _>>())
    {
        let values = &saved[&name];
        let live = values.iter().filter(|value| **value != 0.0).count();
        let (facts, sum) = line.rsplit_once(' ').unwrap();
        assert_eq!(facts, format!("{name} {shape:?} {live}"));
        let places = values.iter().zip(1..);
        let expected: f64 = places
            .map(|(value, place)| f64::from(*value) * f64::from(place))
            .sum();
        // The orders of summation differ.
        let apart = (sum.parse::<f64>().unwrap() - expected).abs();
        assert!(
            apart <= 1e-9 * expected.abs().max(1.0),
            "{name}: {sum} and {expected}"
        );
    }
}
