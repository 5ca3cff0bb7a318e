//! The ResNets against PyTorch: logits, loss, gradients, running statistics.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::Deserialize;
use zosam::models::{ResNet, ResNetVariant};
use zosam::objective::Objective;

use crate::reference::{
    Batch, TOLERANCE, Tensors, assert_all_close, assert_close, network, read, state_of,
    torch_tensors, unbiased_running_variance,
};

#[derive(Deserialize)]
struct Golden {
    state: Tensors,
    batch: Batch,
    logits: Vec<f32>,
    loss: f32,
    gradients: Tensors,
    state_after: Tensors,
    eval_logits: Vec<f32>,
}

fn flat<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

fn matches_pytorch(file: &str, variant: ResNetVariant) {
    let golden: Golden = read(file);
    let device = Device::flex().autodiff();
    let model = network(variant, &golden.state, &device);

    let (images, labels) = (golden.batch.images(&device), golden.batch.labels(&device));
    let loss = |model: &ResNet| model.loss(images.clone(), labels.clone());
    let pass = Objective::new(&model, loss, 0).gradient(None);
    assert_close("logits", &flat(&pass.extra), &golden.logits, TOLERANCE);
    assert_close("loss", &flat(&pass.loss), &[golden.loss], TOLERANCE);
    let gradients = torch_tensors(&model, &pass.vector);
    assert_all_close("gradient", &gradients, &golden.gradients, TOLERANCE);

    let after = unbiased_running_variance(&pass.twin, &golden.state, 1);
    assert_all_close("state", &after, &golden.state_after, TOLERANCE);
    assert_eq!(
        state_of(&model),
        golden.state,
        "a pass leaves the model alone"
    );

    let inference = model.valid();
    let logits = inference.forward(golden.batch.images(&Device::flex()));
    assert_close(
        "inference logits",
        &flat(&logits),
        &golden.eval_logits,
        TOLERANCE,
    );
}

#[test]
fn padded_shortcuts_match_pytorch() {
    matches_pytorch("resnet_he", ResNetVariant::He);
}

#[test]
fn convolution_shortcuts_match_pytorch() {
    matches_pytorch("resnet_grasp", ResNetVariant::Grasp);
}
