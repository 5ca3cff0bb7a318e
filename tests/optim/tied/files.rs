//! Files of models with tied weights.

use std::collections::HashMap;

use burn::optim::SgdConfig;
use safetensors::tensor::{Dtype, TensorView};
use zosam::checkpoint::Store;
use zosam::masks::Masks;
use zosam::model_file::{load_model, save_model, shapes};
use zosam::sparse::Sparsity;
use zosam::{RigL, ZoSamConfig};

use super::modules::*;

/// A run that stops and goes on from its checkpoint ends in the same bits.
#[test]
fn checkpoints_resume_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let sparsity = || Sparsity::new(RigL::new(0.5).until(12).every(3));
    let optimizer = || ZoSamConfig::new().init(SgdConfig::new().build()).unwrap();
    let (mut whole, mut optim) = (sparsity(), optimizer());
    let batch = Batch::new(0);
    let mut pair = whole
        .attach(Pair::new(), |pair: &Pair| pair.loss(&batch))
        .unwrap();
    for step in 0..8 {
        if step == 4 {
            store.save(&pair, &optim, &whole, &()).unwrap();
        }
        let batch = Batch::new(step);
        let loss = |pair: &Pair| pair.loss(&batch);
        pair = optim.step_with(0.05, pair, &mut whole, loss).unwrap().0;
    }
    let mut resumed = sparsity();
    let saved = store.latest().unwrap().unwrap();
    let (mut again, mut optim, ()) = store
        .load(&saved, Pair::new(), optimizer(), &mut resumed)
        .unwrap();
    for step in 4..8 {
        let batch = Batch::new(step);
        let loss = |pair: &Pair| pair.loss(&batch);
        again = optim.step_with(0.05, again, &mut resumed, loss).unwrap().0;
    }
    assert!(bits(&again.first.weight) == bits(&pair.first.weight));
    assert!(bits(&again.second.weight) == bits(&pair.second.weight));
}

/// A tied weight is one tensor of a file, and is read into all its places.
#[test]
fn model_files_hold_a_tied_weight_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let batch = Batch::new(0);
    let mut sparsity = Sparsity::new(RigL::new(0.5).until(12));
    let pair = sparsity
        .attach(Pair::new(), |pair: &Pair| pair.loss(&batch))
        .unwrap();
    save_model(&path, &pair, sparsity.masks()).unwrap();
    let names: Vec<String> = shapes(&path).unwrap().into_keys().collect();
    assert_eq!(names, ["first.bias", "first.weight"]);
    let other = zosam::tree::replace(Pair::new(), |_, value| Some(value.zeros_like()));
    let (loaded, masks) = load_model(&path, other).unwrap();
    assert!(bits(&loaded.first.weight) == bits(&pair.first.weight));
    assert!(bits(&loaded.second.weight) == bits(&pair.first.weight));
    assert_eq!(masks.live_weights(), sparsity.masks().live_weights());
}

/// Writes a file as PyTorch's programs do: each name with a matrix of one number.
fn write(path: &std::path::Path, tensors: &[(&str, f32)]) {
    let bytes: Vec<(String, Vec<u8>)> = tensors
        .iter()
        .map(|(name, value)| {
            let numbers = vec![*value; WORDS * WIDTH];
            let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
            (name.to_string(), bytes.collect())
        })
        .collect();
    let views: HashMap<&str, TensorView> = bytes
        .iter()
        .map(|(name, bytes)| {
            let view = TensorView::new(Dtype::F32, vec![WORDS, WIDTH], bytes).unwrap();
            (name.as_str(), view)
        })
        .collect();
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// PyTorch writes a tied weight under every name, other programs under one of them.
#[test]
fn files_may_use_any_of_the_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for names in [
        &["embedding.weight"][..],
        &["output.weight"],
        &["embedding.weight", "output.weight"],
    ] {
        let tensors: Vec<(&str, f32)> = names.iter().map(|name| (*name, 2.0)).collect();
        write(&path, &tensors);
        let (model, masks) = load_model(&path, Language::new()).unwrap();
        assert!(
            bits(&model.embedding.weight)
                .iter()
                .all(|bits| *bits == 2.0f32.to_bits())
        );
        assert!(bits(&model.output.weight) == bits(&model.embedding.weight));
        assert_eq!(masks.prunable_weights(), Masks::dense().prunable_weights());
    }
    write(&path, &[("embedding.weight", 2.0), ("output.weight", 3.0)]);
    let error = load_model(&path, Language::new())
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`embedding.weight`") && error.contains("`output.weight`"),
        "{error}"
    );
    write(&path, &[]);
    let error = load_model(&path, Language::new())
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(error.contains("`embedding.weight`"), "{error}");
}
