//! Norms that no convolution can absorb.

use super::layer::Layer;
use crate::error::Result;

/// Batch norm and ReLU *before* a convolution: its padding is zero behind the norm, and its input goes elsewhere, too.
#[derive(Debug, Clone)]
pub(crate) struct NormRelu {
    /// Factor and summand of each channel.
    pub factors: Vec<(f32, f32)>,
    /// Numbers in a channel.
    pub plane: usize,
}

impl Layer for NormRelu {
    fn sizes(&self) -> [usize; 2] {
        [self.factors.len() * self.plane; 2]
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let planes = input.chunks_exact(self.plane);
        let planes = planes.zip(output.chunks_exact_mut(self.plane));
        for ((input, output), (scale, shift)) in planes.zip(self.factors.iter().cycle()) {
            for (to, from) in output.iter_mut().zip(input) {
                let value = scale * from + shift;
                *to = if value < 0.0 { 0.0 } else { value };
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.factors[..])
    }
}

/// `γ (x − μ) / √(σ² + ε) + β`, mean and variance of each position over its channels.
#[derive(Debug, Clone)]
pub(crate) struct LayerNorm {
    /// `γ` and `β` of each channel.
    pub factors: Vec<(f32, f32)>,
    pub epsilon: f32,
    /// Numbers in a channel.
    pub plane: usize,
}

impl Layer for LayerNorm {
    fn sizes(&self) -> [usize; 2] {
        [self.factors.len() * self.plane; 2]
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let (plane, channels) = (self.plane, self.factors.len());
        let images = input.chunks_exact(channels * plane);
        for (image, output) in images.zip(output.chunks_exact_mut(channels * plane)) {
            let mean = over_channels(image, plane, |_, x| x);
            let variance = over_channels(image, plane, |at, x| (x - mean[at]) * (x - mean[at]));
            let deviation = variance
                .iter()
                .map(|variance| (variance + self.epsilon).sqrt());
            let factor: Vec<f32> = deviation.map(f32::recip).collect();
            let planes = image
                .chunks_exact(plane)
                .zip(output.chunks_exact_mut(plane));
            for ((input, output), (gamma, beta)) in planes.zip(&self.factors) {
                for at in 0..plane {
                    output[at] = (input[at] - mean[at]) * factor[at] * gamma + beta;
                }
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.factors[..])
    }
}

/// The mean over channels of a function of a number and its position.
fn over_channels(image: &[f32], plane: usize, term: impl Fn(usize, f32) -> f32) -> Vec<f32> {
    let mut sums = vec![0.0; plane];
    for input in image.chunks_exact(plane) {
        for (at, (sum, &number)) in sums.iter_mut().zip(input).enumerate() {
            *sum += term(at, number);
        }
    }
    let count = (image.len() / plane) as f32;
    sums.iter_mut().for_each(|sum| *sum /= count);
    sums
}
