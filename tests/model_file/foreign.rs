//! Files as training programs leave them, made here tensor by tensor. `golden/files.rs` has PyTorch's own.

use std::path::Path;

use burn::nn::{Linear, LinearConfig};
use safetensors::tensor::{Dtype, TensorView};

use super::*;

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    last: Linear,
}

#[derive(Module, Debug)]
struct Outer {
    net: Net,
}

fn net() -> Net {
    let device = Device::flex();
    Net {
        first: LinearConfig::new(2, 3).init(&device),
        last: LinearConfig::new(3, 1).init(&device),
    }
}

/// A safetensors file of these float tensors.
fn write(path: &Path, tensors: &[(&str, Vec<usize>, Vec<f32>)]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (name.to_string(), view)
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// The network's tensors, in PyTorch's layout, with a prefix.
fn tensors(prefix: &str) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let name = |name: &str| format!("{prefix}{name}");
    vec![
        (
            name("first.weight"),
            vec![3, 2],
            vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        ),
        (name("first.bias"), vec![3], vec![0.1, 0.2, 0.3]),
        (name("last.weight"), vec![1, 3], vec![7.0, 8.0, 9.0]),
        (name("last.bias"), vec![1], vec![0.4]),
    ]
}

fn write_named(path: &Path, tensors: &[(String, Vec<usize>, Vec<f32>)]) {
    let tensors = tensors
        .iter()
        .map(|(name, shape, values)| (name.as_str(), shape.clone(), values.clone()));
    write(path, &tensors.collect::<Vec<_>>());
}

/// Whatever all names begin with is not part of them; counters are none of a model's tensors.
#[test]
fn what_all_names_begin_with_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for prefix in [
        "",
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "model.net.",
        "net.",
        "first.",
    ] {
        let mut tensors = tensors(prefix);
        tensors.push(("n_averaged".to_string(), vec![1], vec![5.0]));
        tensors.push((
            format!("{prefix}norm.num_batches_tracked"),
            vec![1],
            vec![9.0],
        ));
        write_named(&path, &tensors);
        let (loaded, masks) = load_model(&path, net()).unwrap();
        let weight: Vec<f32> = loaded.first.weight.to_data().iter::<f32>().collect();
        // Transposed.
        assert_eq!(weight, [1.0, 3.0, 5.0, 2.0, 4.0, 6.0], "{prefix}");
        assert!(masks.is_dense());
        assert_eq!(shapes(&path).unwrap()["last.weight"], [1, 3]);
        // A model that has such a prefix of its own keeps it.
        let outer = load_model(&path, Outer { net: net() });
        assert_eq!(
            outer.is_ok(),
            ["model.net.", "net."].contains(&prefix),
            "{prefix}"
        );
    }
    // Not shared by all: it belongs to the names.
    let mut some = tensors("module.");
    some[0].0 = "first.weight".to_string();
    write_named(&path, &some);
    let message = load_model(&path, net()).unwrap_err().to_string();
    assert!(
        message.contains("it has no tensor `first.bias`"),
        "{message}"
    );
}

/// The names in a file of this crate's are the model's, all of them.
#[test]
fn own_files_keep_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save_model(&path, &Outer { net: net() }, &Masks::dense()).unwrap();
    assert!(load_model(&path, net()).is_err());
    assert!(load_model(&path, Outer { net: net() }).is_ok());
    assert!(shapes(&path).unwrap().contains_key("net.last.bias"));
}

/// `weight = weight_orig · weight_mask`, whatever is left at dead places, and biases too.
#[test]
fn pruned_weights_are_original_times_mask() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let pruned = |mask: Vec<f32>, shape: Vec<usize>| {
        let mut tensors = tensors("module.");
        tensors[0].0 = "module.first.weight_orig".to_string();
        tensors[0].2[1] = f32::NAN;
        tensors.push(("module.first.weight_mask".to_string(), shape, mask));
        write_named(&path, &tensors);
        load_model(&path, net())
    };
    let mask = vec![1.0, 0.0, 1.0, 1.0, 0.0, 0.0];
    let (loaded, masks) = pruned(mask.clone(), vec![3, 2]).unwrap();
    let weight: Vec<f32> = loaded.first.weight.to_data().iter::<f32>().collect();
    assert_eq!(weight, [1.0, 3.0, 0.0, 0.0, 4.0, 0.0]);
    assert_eq!((masks.live_weights(), masks.prunable_weights()), (3, 6));
    let live = masks.live_set(loaded.first.weight.id).unwrap();
    assert_eq!(live, [true, true, false, false, true, false]);
    for (mask, shape, named) in [
        (vec![0.5; 6], vec![3, 2], "has a 0.5; expected 0 and 1"),
        (vec![f32::NAN; 6], vec![3, 2], "has a NaN"),
        (
            mask.clone(),
            vec![2, 3],
            "has shape [3, 2], `module.first.weight_mask` [2, 3]",
        ),
    ] {
        let message = pruned(mask, shape).unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }
    // An original without its mask is a name like any other.
    let mut tensors = tensors("");
    tensors[0].0 = "first.weight_orig".to_string();
    write_named(&path, &tensors);
    let message = load_model(&path, net()).unwrap_err().to_string();
    assert!(
        message.contains("it has no tensor `first.weight`"),
        "{message}"
    );
}
