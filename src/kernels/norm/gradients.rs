//! What gradients are asked for, and where they go.

use super::super::scratch::Shared;
use super::super::shape::length;
use super::backward::Backward;
use super::masked::{Open, Output, Recomputed};
use super::{BatchNorm, NormFactors};
use crate::error::Result;

/// Where the gradient of the output passes: everywhere, or where the output of a ReLU was positive (or NaN, as in burn).
#[derive(Clone, Copy, Debug, Default)]
pub enum GradientMask<'a> {
    /// There was no ReLU.
    #[default]
    None,
    /// A ReLU and no residual: which outputs were positive is computed again, to the bit, and the output is not read.
    Recomputed,
    /// A ReLU, with or without residual: this was the output.
    Output(&'a [f32]),
}

/// Where gradients go; all of each slice is written.
#[derive(Debug)]
pub struct NormGradients<'a> {
    /// Of the input, `[N, channels, plane]`.
    pub input: &'a mut [f32],
    /// Of the residual, `[N, channels, plane]`: the gradient of the output where the mask passes it.
    pub residual: Option<&'a mut [f32]>,
    /// Of `γ`, one number per channel.
    pub gamma: &'a mut [f32],
    /// Of `β`, one number per channel.
    pub beta: &'a mut [f32],
}

impl BatchNorm {
    /// All gradients, given `g = ∂L/∂y`, both `[N, channels, plane]`.
    ///
    /// With `x̂ = (x − μ) / √(σ² + ε)`, `g′ = g` where the mask passes and zero elsewhere, and sums over the `n` numbers of
    /// a channel: `∂L/∂β = Σ g′`, `∂L/∂γ = Σ g′ x̂`, `∂L/∂residual = g′`, and
    /// `∂L/∂x = γ / √(σ² + ε) (g′ − ∂L/∂β / n − x̂ ∂L/∂γ / n)` if mean and variance are those of the batch
    /// (`batch_statistics`), or `γ / √(σ² + ε) g′` if they are fixed.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn gradients(
        &self,
        input: &[f32],
        output_gradient: &[f32],
        factors: NormFactors<'_>,
        mask: GradientMask<'_>,
        batch_statistics: bool,
        into: NormGradients<'_>,
    ) -> Result<()> {
        let images = self.images(input)?;
        let numbers = input.len();
        length("the output gradient", output_gradient.len(), numbers)?;
        factors.check(self.channels)?;
        if let GradientMask::Output(output) = mask {
            length("the output", output.len(), numbers)?;
        }
        length("the input gradient", into.input.len(), numbers)?;
        if let Some(residual) = &into.residual {
            length("the residual gradient", residual.len(), numbers)?;
        }
        length("the gradient of gamma", into.gamma.len(), self.channels)?;
        length("the gradient of beta", into.beta.len(), self.channels)?;
        let job = Backward {
            norm: *self,
            images,
            input,
            output_gradient,
            factors,
            scales: &factors.scales(),
            batch_statistics,
            input_gradient: Shared::new(into.input),
            residual_gradient: into.residual.map(Shared::new),
        };
        match mask {
            GradientMask::None => job.run(Open, into.gamma, into.beta),
            GradientMask::Recomputed => job.run(Recomputed, into.gamma, into.beta),
            GradientMask::Output(output) => job.run(Output(output), into.gamma, into.beta),
        }
        Ok(())
    }
}
