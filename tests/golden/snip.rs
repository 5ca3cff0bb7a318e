//! SNIP's live weights against those by PyTorch's gradients.

use std::collections::BTreeMap;

use burn::tensor::Device;
use serde::Deserialize;
use zosam::models::{ResNet, ResNetVariant};
use zosam::sparse::{Budget, Magnitude, Weight, one_shot};
use zosam::{Snip, Sparsity};

use crate::reference::{Batch, Tensors, network, read, to_burn, torch_name};

#[derive(Deserialize)]
struct Network {
    state: Tensors,
    batch: Batch,
}

#[derive(Deserialize)]
struct Golden {
    sparsity: f64,
    /// Live positions of each weight.
    live: BTreeMap<String, Vec<usize>>,
}

/// Exact: `make.py` makes sure that the last weight kept and the first one dropped differ by more than
/// rounding does.
#[test]
fn live_weights_match_pytorch() {
    let golden: Golden = read("snip");
    let Network { state, batch } = read("resnet_grasp");
    let device = Device::flex().autodiff();
    let model = network(ResNetVariant::Grasp, &state, &device);
    let (images, labels) = (batch.images(&device), batch.labels(&device));

    let mut sparsity = Sparsity::new(Snip::new(golden.sparsity));
    let loss = |model: &ResNet| model.loss(images.clone(), labels.clone());
    sparsity.attach(model, loss).unwrap();

    assert_live(&sparsity, &golden.live);
}

/// Live positions in PyTorch's layout against the masks.
pub fn assert_live(sparsity: &Sparsity, golden: &BTreeMap<String, Vec<usize>>) {
    let masks = sparsity.masks();
    assert_eq!(masks.leaves().count(), golden.len());
    for leaf in masks.leaves() {
        let mut expected = vec![false; leaf.len()];
        for position in &golden[&torch_name(&leaf.path)] {
            expected[*position] = true;
        }
        let expected = to_burn(&leaf.shape, &expected);
        assert_eq!(masks.live_set(leaf.id).unwrap(), expected, "{}", leaf.path);
    }
}

/// All weights compete for `round((1 − S) N)` places, and ties go to the lower position.
#[test]
fn a_global_budget_is_exact_and_breaks_ties_by_position() {
    let weight = |values: &[f32]| Weight {
        values: values.to_vec(),
        ..Weight::default()
    };
    let layers = [weight(&[0.5, -1.0, 0.5, 0.1]), weight(&[-0.5, 0.5, 2.0])];
    let kept = |sparsity| one_shot(&layers, &Magnitude, sparsity, Budget::Global).unwrap();
    // 0.4 · 7 = 2.8 and 0.6 · 7 = 4.2 places.
    assert_eq!(
        kept(0.6).concat(),
        [true, true, false, false, false, false, true]
    );
    assert_eq!(
        kept(0.4).concat(),
        [true, true, true, false, false, false, true]
    );
}
