//! Fused batch norm is burn's batch norm, an addition and a ReLU.

use burn::module::{Module, Param};
use burn::nn::BatchNormConfig;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use zosam::nn::BatchNorm;

use super::{assert_close, device, random};

fn layer() -> BatchNorm {
    let mut norm = BatchNorm::new(&BatchNormConfig::new(3), &device());
    norm.gamma = Param::from_tensor(random([3]));
    norm.beta = Param::from_tensor(random([3]));
    norm
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Nothing,
    Relu,
    ResidualRelu,
}

type Pass = [Tensor<3>; 3];

/// Output, and gradients of input and residual; then those of `γ` and `β`.
fn pass(
    norm: &BatchNorm,
    fused: bool,
    then: Then,
    [x, r]: [&Tensor<3>; 2],
) -> (Pass, [Tensor<1>; 2]) {
    let [x, r] = [x, r].map(|tensor| tensor.clone().detach().require_grad());
    let y = match (fused, then) {
        (true, Then::Nothing) => norm.forward(x.clone()),
        (true, Then::Relu) => norm.forward_relu(x.clone()),
        (true, Then::ResidualRelu) => norm.forward_residual_relu(x.clone(), r.clone()),
        (false, Then::Nothing) => norm.as_burn().forward(x.clone()),
        (false, Then::Relu) => relu(norm.as_burn().forward(x.clone())),
        (false, Then::ResidualRelu) => relu(norm.as_burn().forward(x.clone()) + r.clone()),
    };
    let slope = (y.clone().detach() * 3.0).cos();
    let gradients = (y.clone() * slope).sum().backward();
    let of_r = r
        .grad(&gradients)
        .unwrap_or_else(|| r.clone().inner().zeros_like());
    (
        [y.inner(), x.grad(&gradients).unwrap(), of_r],
        [
            norm.gamma.grad(&gradients).unwrap(),
            norm.beta.grad(&gradients).unwrap(),
        ],
    )
}

#[test]
fn outputs_gradients_and_running_statistics() {
    for then in [Then::Nothing, Then::Relu, Then::ResidualRelu] {
        let (x, r) = (random([5, 3, 21]) * 2.0 + 1.0, random([5, 3, 21]));
        let ours = layer();
        // A layer with running statistics of its own.
        let burns = BatchNorm::from(ours.as_burn().valid().train());
        let (found, found_weights) = pass(&ours, true, then, [&x, &r]);
        let (expected, expected_weights) = pass(&burns, false, then, [&x, &r]);
        for (found, expected) in found.into_iter().zip(expected) {
            assert_close(&format!("{then:?}"), found, expected);
        }
        for (found, expected) in found_weights.into_iter().zip(expected_weights) {
            assert_close(&format!("{then:?}"), found, expected);
        }
        let running = |norm: &BatchNorm| {
            [
                norm.running_mean.value_sync(),
                norm.running_var.value_sync(),
            ]
        };
        for (found, expected) in running(&ours).into_iter().zip(running(&burns)) {
            assert_close("running statistics", found, expected);
        }
    }
}

#[test]
fn running_statistics_in_validation_and_in_a_frozen_layer() {
    let (x, r) = (random([5, 3, 4]), random([5, 3, 4]));
    let norm = layer();
    norm.forward(random([5, 3, 4]));
    let frozen = norm.clone().freeze();
    let before = frozen.running_mean.value_sync().into_data();
    let found = frozen.forward_residual_relu(x.clone(), r.clone());
    assert_close(
        "frozen",
        found,
        relu(frozen.as_burn().forward(x.clone()) + r),
    );
    assert_eq!(frozen.running_mean.value_sync().into_data(), before);
    let (valid, x) = (norm.valid(), x.inner());
    assert_close(
        "valid",
        valid.forward(x.clone()),
        valid.as_burn().forward(x),
    );
}

/// What burn refuses is refused in burn's words.
#[test]
#[should_panic(expected = "axis 1 expected 3, got 2")]
fn wrong_channels() {
    layer().forward_relu(random([4, 2, 5]));
}

#[test]
fn an_empty_batch_is_burns_to_answer() {
    let (valid, empty) = (layer().valid(), random([0, 3, 5]).inner());
    assert_eq!(valid.forward_relu(empty).dims(), [0, 3, 5]);
}
