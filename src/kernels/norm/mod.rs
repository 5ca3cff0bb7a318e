//! Batch norm in training, in few passes over memory: statistics, normalisation with residual and
//! ReLU, gradients.

mod backward;
mod chunk;
mod gradients;
mod masked;
mod normalise;
mod statistics;
mod sweep;

#[cfg(feature = "flex")]
pub(crate) use gradients::Source;
pub use gradients::{GradientMask, NormGradients};

use super::shape::{examples, length};
use super::simd::Instructions;
use crate::error::{Error, Result, check};

/// Batch norm over arrays `[images, channels, plane]`: `y = γ (x − μ) / √(σ² + ε) + β` with one
/// `γ, β, μ, σ²` per channel.
///
/// A plane may have any number of axes; 1 is that of a linear layer.
///
/// ```
/// use zosam::kernels::{BatchNorm, NormFactors};
///
/// let norm = BatchNorm::new(1, 2)?; // one channel, planes of two numbers
/// let input = [1.0, 3.0, 5.0, 7.0];
/// let (mut mean, mut variance, mut output) = ([0.0], [0.0], [0.0; 4]);
/// norm.statistics(&input, &mut mean, &mut variance)?;
/// assert_eq!((mean, variance), ([4.0], [5.0]));
///
/// let factors = NormFactors { mean: &mean, variance: &variance, epsilon: 4.0, gamma: &[3.0], beta: &[0.0] };
/// norm.normalise(&input, factors, None, true, &mut output)?;
/// assert_eq!(output, [0.0, 0.0, 1.0, 3.0]);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    channels: usize,
    plane: usize,
    instructions: Instructions,
}

/// What a channel is normalised with, one number per channel each.
#[derive(Clone, Copy, Debug)]
pub struct NormFactors<'a> {
    /// Mean `μ`, of the batch or a running one.
    pub mean: &'a [f32],
    /// Biased variance `σ²`, of the batch or a running one.
    pub variance: &'a [f32],
    /// `ε`, added to the variance; burn's default is 1e-5.
    pub epsilon: f64,
    /// Scale `γ`.
    pub gamma: &'a [f32],
    /// Shift `β`.
    pub beta: &'a [f32],
}

impl NormFactors<'_> {
    fn check(&self, channels: usize) -> Result<()> {
        length("the mean", self.mean.len(), channels)?;
        length("the variance", self.variance.len(), channels)?;
        length("gamma", self.gamma.len(), channels)?;
        length("beta", self.beta.len(), channels)
    }

    /// `1 / √(σ² + ε)` of a channel.
    fn inverse_deviation(&self, channel: usize) -> f64 {
        1.0 / (f64::from(self.variance[channel]) + self.epsilon).sqrt()
    }

    /// `γ / √(σ² + ε)` of each channel.
    fn scales(&self) -> Vec<f32> {
        let channels = self.gamma.iter().enumerate();
        channels
            .map(|(channel, gamma)| (f64::from(*gamma) * self.inverse_deviation(channel)) as f32)
            .collect()
    }
}

impl BatchNorm {
    /// For arrays of this many channels and numbers per plane, on the fastest instructions.
    ///
    /// # Errors
    /// No channels, empty planes, or more numbers in an image than memory can hold.
    pub fn new(channels: usize, plane: usize) -> Result<Self> {
        Self::with_instructions(channels, plane, Instructions::detect())
    }

    /// As [`new`](Self::new), on instructions of your choice.
    ///
    /// # Errors
    /// Also if the CPU lacks the instructions.
    pub fn with_instructions(
        channels: usize,
        plane: usize,
        instructions: Instructions,
    ) -> Result<Self> {
        instructions.check()?;
        check("channels", channels as f64, channels > 0, "at least 1")?;
        let numbers = channels.checked_mul(plane);
        let fits = numbers.is_some_and(|numbers| numbers > 0 && numbers <= isize::MAX as usize / 4);
        check(
            "plane",
            plane as f64,
            fits,
            "at least 1, and an image must fit into memory",
        )?;
        Ok(Self {
            channels,
            plane,
            instructions,
        })
    }

    fn images(&self, input: &[f32]) -> Result<usize> {
        examples("the input", input, self.channels * self.plane)
    }
}

/// The error of a batch without images, where a mean is asked for.
fn no_images() -> Error {
    Error::Length {
        what: "the input",
        found: 0,
        expected: "at least one image, to have a mean".into(),
    }
}
