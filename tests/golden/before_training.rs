//! GraSP and SynFlow against double backward and float64 in PyTorch.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor};
use serde::Deserialize;
use zosam::models::{ResNet, ResNetVariant};
use zosam::sparse::{Classification, Evidence};
use zosam::tree;
use zosam::{Grasp, Sparsity, SynFlow};

use crate::reference::{Batch, Tensors, network, read, torch_tensors};
use crate::snip::assert_live;

#[derive(Deserialize)]
struct Network {
    state: Tensors,
    batch: Batch,
}

#[derive(Deserialize)]
struct GraspGolden {
    sparsity: f64,
    /// `H g`.
    product: Tensors,
    live: BTreeMap<String, Vec<usize>>,
}

#[derive(Deserialize)]
struct SynFlowGolden {
    sparsity: f64,
    rounds: u64,
    live: BTreeMap<String, Vec<usize>>,
}

fn halves(batch: &Batch, device: &Device) -> Vec<(Tensor<4>, Tensor<1, Int>)> {
    let (images, labels) = (batch.images(device), batch.labels(device));
    let half = |range: std::ops::Range<usize>| {
        (
            images.clone().slice([range.clone()]),
            labels.clone().slice([range]),
        )
    };
    vec![half(0..4), half(4..8)]
}

fn exact(batches: Vec<(Tensor<4>, Tensor<1, Int>)>) -> Classification<'static, ResNet, 4> {
    Classification::new(batches, ResNet::forward).with_tangent(ResNet::forward_tangent)
}

/// `1 − cos` of two vectors, and their lengths' ratio.
fn compare(actual: &Tensors, expected: &Tensors) -> (f64, f64) {
    let dot = |a: &Tensors, b: &Tensors| -> f64 {
        let pairs = expected
            .keys()
            .flat_map(|name| a[name].iter().zip(&b[name]));
        pairs.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    let (long, short) = (dot(actual, actual).sqrt(), dot(expected, expected).sqrt());
    (1.0 - dot(actual, expected) / (long * short), long / short)
}

/// The product with the Hessian, by tangents in f32 and by differences in f64, against double backward.
#[test]
fn products_with_the_hessian_match_double_backward() {
    let golden: GraspGolden = read("grasp");
    let Network { state, batch } = read("resnet_grasp");
    let device = Device::flex().autodiff();
    let model = network(ResNetVariant::Grasp, &state, &device);
    let sparse = |id| {
        let leaves = tree::leaves(&model);
        let leaf = leaves.iter().find(|leaf| leaf.id == id).unwrap();
        leaf.shape.len() > 1
    };
    for (name, data) in [
        ("tangents", exact(halves(&batch, &device))),
        (
            "differences",
            Classification::new(halves(&batch, &device), ResNet::forward),
        ),
    ] {
        let gradient = data.gradient(&model, 200.0, 0).unwrap().filter(sparse);
        let product = data.hessian_product(&model, &gradient, 200.0, 0).unwrap();
        let (apart, ratio) = compare(&torch_tensors(&model, &product), &golden.product);
        // The issue asks for 1e-3; rounding in f32 makes 1e-9 and less here.
        assert!(apart < 1e-6, "{name}: 1 - cos = {apart:e}");
        assert!((ratio - 1.0).abs() < 1e-4, "{name}: length times {ratio}");
    }
}

/// The sets that the golden scores keep differ from ours in less than one weight of a hundred, the limit of the issue;
/// in fact in none.
#[test]
fn grasp_keeps_what_double_backward_keeps() {
    let golden: GraspGolden = read("grasp");
    let Network { state, batch } = read("resnet_grasp");
    let device = Device::flex().autodiff();
    let model = network(ResNetVariant::Grasp, &state, &device);
    let mut sparsity = Sparsity::new(Grasp::new(golden.sparsity));
    sparsity
        .attach_on(model, &exact(halves(&batch, &device)))
        .unwrap();
    assert_live(&sparsity, &golden.live);
}

#[test]
fn synflow_matches_pytorch() {
    let golden: SynFlowGolden = read("synflow");
    let Network { state, batch } = read("resnet_grasp");
    let device = Device::flex().autodiff();
    let model = network(ResNetVariant::Grasp, &state, &device);
    let method = SynFlow::new(golden.sparsity).with_rounds(golden.rounds);
    let mut sparsity = Sparsity::new(method);
    sparsity
        .attach_on(model, &exact(halves(&batch, &device)))
        .unwrap();
    assert_live(&sparsity, &golden.live);
}
