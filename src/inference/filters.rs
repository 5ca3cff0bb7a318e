//! The weights of a trained layer on their way from burn's tensors to slices, batch norm folded in.

use burn::nn::PaddingConfig2d;
use burn::tensor::Tensor;

use super::conv::Conv;
use crate::error::{Error, Result};
use crate::kernels::ConvShape;
use crate::nn::{BatchNorm, Conv2d, Linear};

/// Dense weights, what is live of them, and what follows the product.
#[derive(Debug, Clone)]
pub(crate) struct Filters {
    /// Without the size of its input, which the network knows.
    shape: ConvShape,
    weight: Vec<f32>,
    live: Vec<bool>,
    bias: Vec<f32>,
    relu: bool,
}

/// A tensor in row-major order.
pub(super) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

impl Filters {
    /// Of a convolution with equal padding on opposite sides.
    pub fn of(conv: &Conv2d) -> Result<Self> {
        let weight = conv.weight.val();
        let [outputs, channels, height, width] = weight.dims();
        let padding = match conv.padding {
            PaddingConfig2d::Valid => [0, 0],
            PaddingConfig2d::Explicit(top, left, bottom, right)
                if (top, left) == (bottom, right) =>
            {
                [top, left]
            }
            ref other => {
                return Err(Error::Config {
                    field: "padding",
                    value: format!("{other:?}"),
                    valid: "explicit, and the same on opposite sides",
                });
            }
        };
        let channels = [channels * conv.groups, outputs];
        let shape = ConvShape::new(channels, [height, width], [0, 0])
            .with_stride(conv.stride)
            .with_padding(padding)
            .with_dilation(conv.dilation)
            .with_groups(conv.groups);
        let bias = conv.bias.as_ref().map(|bias| numbers(bias.val()));
        Ok(Self::new(shape, numbers(weight), bias))
    }

    /// Of a linear layer, at every position: a 1×1 convolution.
    pub fn linear(linear: &Linear) -> Self {
        Self::mean(&[linear])
    }

    /// The mean of linear layers, each of a column of its own: a kernel as wide as there are layers.
    pub fn mean(layers: &[&Linear]) -> Self {
        let [inputs, outputs] = layers[0].weight.dims();
        let share = 1.0 / layers.len() as f32;
        let mut weight = vec![0.0; outputs * inputs * layers.len()];
        let mut bias = vec![0.0; outputs];
        for (column, layer) in layers.iter().enumerate() {
            for (index, value) in numbers(layer.weight.val()).into_iter().enumerate() {
                let (input, output) = (index / outputs, index % outputs);
                weight[(output * inputs + input) * layers.len() + column] = share * value;
            }
            let values = layer.bias.iter().flat_map(|bias| numbers(bias.val()));
            for (bias, value) in bias.iter_mut().zip(values) {
                *bias += share * value;
            }
        }
        let shape = ConvShape::new([inputs, outputs], [1, layers.len()], [0, 0]);
        Self::new(shape, weight, Some(bias))
    }

    fn new(shape: ConvShape, weight: Vec<f32>, bias: Option<Vec<f32>>) -> Self {
        Self {
            live: weight.iter().map(|weight| *weight != 0.0).collect(),
            bias: bias.unwrap_or(vec![0.0; shape.channels[1]]),
            shape,
            weight,
            relu: false,
        }
    }

    /// With batch norm behind it: `γ (W ⋆ x + b − μ) / √(σ² + ε) + β` as one convolution with a bias.
    pub fn norm(mut self, norm: &BatchNorm) -> Self {
        let factors = factors(norm);
        let each = self.weight.len() / factors.len().max(1);
        let channels = self
            .weight
            .chunks_exact_mut(each.max(1))
            .zip(&mut self.bias);
        for ((weights, bias), (scale, shift)) in channels.zip(factors) {
            for weight in weights {
                *weight = (f64::from(*weight) * scale) as f32;
            }
            *bias = (f64::from(*bias) * scale + shift) as f32;
        }
        self
    }

    /// With ReLU behind it.
    pub fn relu(mut self) -> Self {
        self.relu = true;
        self
    }

    /// The layer for inputs of a number of channels, height and width.
    pub fn packed(mut self, [channels, height, width]: [usize; 3]) -> Result<Conv> {
        if channels != self.shape.channels[0] {
            return Err(Error::Mismatch {
                what: "the images",
                reason: format!("{channels} channels, not {}", self.shape.channels[0]),
            });
        }
        self.shape.input = [height, width];
        Conv::new(self.shape, &self.weight, &self.live, self.bias, self.relu)
    }

    /// Channels of the inputs.
    pub fn channels(&self) -> usize {
        self.shape.channels[0]
    }
}

/// Batch norm in evaluation as a factor and a summand of each channel.
pub(super) fn factors(norm: &BatchNorm) -> Vec<(f64, f64)> {
    let (gamma, beta) = (numbers(norm.gamma.val()), numbers(norm.beta.val()));
    let mean = numbers(norm.running_mean.value_sync());
    let variance = numbers(norm.running_var.value_sync());
    let factor = |channel: usize| {
        let deviation = (f64::from(variance[channel]) + norm.epsilon).sqrt();
        let scale = f64::from(gamma[channel]) / deviation;
        let shift = f64::from(beta[channel]) - f64::from(mean[channel]) * scale;
        (scale, shift)
    };
    (0..gamma.len()).map(factor).collect()
}
