//! What the families of networks share.

use burn::nn::conv::Conv2dConfig;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNormConfig, Initializer, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Int, Tensor};

use crate::error::{Error, Result};
use crate::nn::{BatchNorm, Conv2d, Linear};

/// What the variance of a convolution's first weights, `2 / fan`, counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fan {
    /// The inputs of an output.
    In,
    /// The outputs of an input.
    Out,
}

/// A square convolution with "same" padding for odd kernels, no bias, and Kaiming-normal weights.
pub(super) fn conv(
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    fan: Fan,
    device: &Device,
) -> Conv2d {
    let padding = kernel / 2;
    let config = Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .with_bias(false)
        .with_initializer(Initializer::KaimingNormal {
            gain: std::f64::consts::SQRT_2,
            fan_out_only: matches!(fan, Fan::Out),
        });
    Conv2d::new(&config, device)
}

/// Batch norm with momentum 0.1 and ε = 1e-5, as in PyTorch.
pub(super) fn norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNorm::new(&BatchNormConfig::new(channels), device)
}

/// The last layer, whose weight and bias start from distributions of their own.
pub(super) fn classifier(
    [features, classes]: [usize; 2],
    weight: Initializer,
    bias: Initializer,
    device: &Device,
) -> Linear {
    let config = LinearConfig::new(features, classes)
        .with_bias(false)
        .with_initializer(weight);
    let mut linear = Linear::new(&config, device);
    linear.bias = Some(bias.init([classes], device));
    linear
}

/// `U(−1/√n, 1/√n)`, PyTorch's default for a layer with n inputs.
pub(super) fn pytorch_default(inputs: usize) -> Initializer {
    let bound = (inputs as f64).sqrt().recip();
    Initializer::Uniform {
        min: -bound,
        max: bound,
    }
}

/// The mean over height and width: `[batch, channels, h, w]` to `[batch, channels]`.
pub(super) fn global_mean(hidden: Tensor<4>) -> Tensor<2> {
    hidden.mean_dim(3).mean_dim(2).flatten(1, 3)
}

/// Cross-entropy of logits `[batch, classes]` with labels `[batch]`, averaged over the batch, and
/// the logits.
pub(super) fn loss_of(logits: Tensor<2>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>) {
    let loss = CrossEntropyLossConfig::new()
        .init(&logits.device())
        .forward(logits.clone(), labels);
    (loss, logits)
}

/// An error that names a configuration's field.
pub(super) fn invalid<T>(
    field: &'static str,
    value: impl ToString,
    valid: &'static str,
) -> Result<T> {
    Err(Error::Config {
        field,
        value: value.to_string(),
        valid,
    })
}

/// Checks that no size is 0.
pub(super) fn at_least_one<const N: usize>(sizes: [(&'static str, usize); N]) -> Result<()> {
    match sizes.into_iter().find(|(_, size)| *size == 0) {
        Some((field, size)) => invalid(field, size, "at least 1"),
        None => Ok(()),
    }
}
