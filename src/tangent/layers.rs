//! burn's layers on dual numbers.

use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Linear};
use burn::tensor::Tensor;

use super::Dual;

/// A layer that carries derivatives along.
pub trait ForwardTangent<const D: usize> {
    /// The layer's output and its derivative, where `direction` holds the derivatives of the
    /// parameters.
    fn forward_tangent(&self, direction: &Self, input: Dual<D>) -> Dual<D>;
}

/// `W ẋ + V x + ḃ`: `direction` computes the last two.
impl ForwardTangent<4> for Conv2d {
    fn forward_tangent(&self, direction: &Self, input: Dual<4>) -> Dual<4> {
        let without_bias = Self {
            bias: None,
            ..self.clone()
        };
        Dual {
            value: self.forward(input.value.clone()),
            tangent: without_bias.forward(input.tangent) + direction.forward(input.value),
        }
    }
}

/// `W ẋ + V x + ḃ`: `direction` computes the last two.
impl<const D: usize> ForwardTangent<D> for Linear {
    fn forward_tangent(&self, direction: &Self, input: Dual<D>) -> Dual<D> {
        let without_bias = Self {
            bias: None,
            ..self.clone()
        };
        Dual {
            value: self.forward(input.value.clone()),
            tangent: without_bias.forward(input.tangent) + direction.forward(input.value),
        }
    }
}

/// By the batch's statistics wherever the layer itself uses them, else by the running ones.
impl<const D: usize> ForwardTangent<D> for BatchNorm {
    fn forward_tangent(&self, direction: &Self, input: Dual<D>) -> Dual<D> {
        let gamma = Dual::parameter(&self.gamma, &direction.gamma);
        let beta = Dual::parameter(&self.beta, &direction.beta);
        // The layer's own pass, so that running statistics advance as they do in `forward`.
        let value = self.forward(input.value.clone());
        let tangent = if input.value.device().is_autodiff() && self.training.is_enabled() {
            batch_norm(input, gamma, beta, self.epsilon).tangent
        } else {
            let mean = channels::<D>(self.running_mean.value_sync());
            let deviation = channels::<D>((self.running_var.value_sync() + self.epsilon).sqrt());
            let normalised = (input.value - mean) / deviation.clone();
            channels::<D>(gamma.value) * input.tangent / deviation
                + channels::<D>(gamma.tangent) * normalised
                + channels::<D>(beta.tangent)
        };
        Dual { value, tangent }
    }
}

/// `γ x̂ + β` with `x̂ = (x − mean) / √(var + ε)`, mean and variance over everything but the
/// channels.
pub fn batch_norm<const D: usize>(
    input: Dual<D>,
    gamma: Dual<1>,
    beta: Dual<1>,
    epsilon: f64,
) -> Dual<D> {
    let mean = |tensor: Tensor<D>| {
        let over = (0..D).filter(|dim| *dim != 1);
        over.fold(tensor, |tensor, dim| tensor.mean_dim(dim))
    };
    let (gamma, beta) = (gamma.linear(channels::<D>), beta.linear(channels::<D>));
    standardised(input, mean, epsilon) * gamma + beta
}

/// `γ x̂ + β` with mean and variance over the last dimension.
pub fn layer_norm<const D: usize>(
    input: Dual<D>,
    gamma: Dual<1>,
    beta: Option<Dual<1>>,
    epsilon: f64,
) -> Dual<D> {
    let scaled = standardised(input, |tensor| tensor.mean_dim(D - 1), epsilon)
        * gamma.linear(|gamma| gamma.unsqueeze::<D>());
    match beta {
        Some(beta) => scaled + beta.linear(|beta| beta.unsqueeze::<D>()),
        None => scaled,
    }
}

/// `x̂`, with derivative `(ẋ − mean ẋ − x̂ mean(x̂ ẋ)) / σ`.
fn standardised<const D: usize>(
    input: Dual<D>,
    mean: impl Fn(Tensor<D>) -> Tensor<D>,
    epsilon: f64,
) -> Dual<D> {
    let centred = input.value.clone() - mean(input.value);
    let variance = mean(centred.clone() * centred.clone());
    let deviation = (variance + epsilon).sqrt();
    let value = centred / deviation.clone();
    let along = mean(value.clone() * input.tangent.clone());
    let tangent = input.tangent.clone() - mean(input.tangent) - value.clone() * along;
    Dual {
        tangent: tangent / deviation,
        value,
    }
}

/// One number per channel, `[1, channels, 1, …]`.
fn channels<const D: usize>(tensor: Tensor<1>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[1] = tensor.dims()[0];
    tensor.reshape(shape)
}
