//! Three steps of SAM against the published PyTorch implementation's.

use burn::optim::SgdConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::tensor::Device;
use serde::Deserialize;
use zosam::models::{ResNet, ResNetVariant};
use zosam::{SamConfig, Sparsity};

use crate::reference::{
    Batch, TOLERANCE, Tensors, assert_all_close, assert_close, distance, network, read,
    unbiased_running_variance,
};

#[derive(Deserialize)]
struct Golden {
    rho: f64,
    state: Tensors,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    batch: Batch,
    loss: f32,
    state: Tensors,
}

/// Trains by the golden batches; the states after each step, and the losses that it reported.
fn train(golden: &Golden, rho: f64, dampening: f64) -> Vec<(Tensors, f32)> {
    let device = Device::flex().autodiff();
    let mut model = network(ResNetVariant::Grasp, &golden.state, &device);
    let sgd = SgdConfig::new()
        .with_momentum(Some(MomentumConfig::new().with_dampening(dampening)))
        .with_weight_decay(Some(WeightDecayConfig::new(5e-4)))
        .build();
    let mut optim = SamConfig::new().with_rho(rho).init(sgd).unwrap();
    let mut trace = Vec::new();
    for (taken, step) in golden.steps.iter().enumerate() {
        let (images, labels) = (step.batch.images(&device), step.batch.labels(&device));
        let loss = |model: &ResNet| model.loss(images.clone(), labels.clone());
        let (stepped, report) = optim
            .step_with(0.1, model, &mut Sparsity::dense(), loss)
            .unwrap();
        model = stepped;
        let state = unbiased_running_variance(&model, &golden.state, taken as i32 + 1);
        trace.push((state, report.loss_value() as f32));
    }
    trace
}

#[test]
fn three_steps_match_pytorch() {
    let golden: Golden = read("sam");
    let trace = train(&golden, golden.rho, 0.0);
    for (taken, ((state, loss), step)) in trace.iter().zip(&golden.steps).enumerate() {
        let what = format!("step {}: the state", taken + 1);
        assert_all_close(&what, state, &step.state, TOLERANCE);
        assert_close("the perturbed loss", &[*loss], &[step.loss], TOLERANCE);
    }
}

/// The test above can tell: without the perturbation, with a shorter one, or with burn's own default for
/// the momentum's dampening, weights are off by more than a hundred tolerances.
#[test]
fn other_settings_end_elsewhere() {
    let golden: Golden = read("sam");
    let expected = &golden.steps.last().unwrap().state;
    for (rho, dampening) in [(0.0, 0.0), (0.9 * golden.rho, 0.0), (golden.rho, 0.1)] {
        let trace = train(&golden, rho, dampening);
        let (state, _) = trace.last().unwrap();
        let distance = distance(state, expected);
        assert!(
            distance > 100.0 * TOLERANCE,
            "{rho}, {dampening}: {distance}"
        );
    }
}
