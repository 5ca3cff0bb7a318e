//! What gradients are asked for, and where they go.

use super::super::scratch::{Place, Shared, places};
use super::super::shape::length;
use super::backward::Backward;
use super::masked::{Open, Output, Recomputed};
use super::{BatchNorm, NormFactors};
use crate::error::Result;

/// Where the gradient of the output passes: everywhere, or where the output of a ReLU was positive
/// (or NaN, as in burn).
#[derive(Clone, Copy, Debug, Default)]
pub enum GradientMask<'a> {
    /// There was no ReLU.
    #[default]
    None,
    /// A ReLU and no residual: which outputs were positive is computed again, to the bit, and the
    /// output is not read.
    Recomputed,
    /// A ReLU, with or without residual: this was the output.
    Output(&'a [f32]),
}

/// Where gradients go; all of each slice is written.
#[derive(Debug)]
pub struct NormGradients<'a> {
    /// Of the input, `[N, channels, plane]`.
    pub input: &'a mut [f32],
    /// Of the residual, `[N, channels, plane]`: the gradient of the output where the mask passes
    /// it.
    pub residual: Option<&'a mut [f32]>,
    /// Of `γ`, one number per channel.
    pub gamma: &'a mut [f32],
    /// Of `β`, one number per channel.
    pub beta: &'a mut [f32],
}

/// What gradients are computed from; see [`BatchNorm::gradients`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) input: &'a [f32],
    pub(crate) output_gradient: &'a [f32],
    pub(crate) factors: NormFactors<'a>,
    pub(crate) mask: GradientMask<'a>,
    pub(crate) batch_statistics: bool,
}

impl BatchNorm {
    /// All gradients, given `g = ∂L/∂y`, both `[N, channels, plane]`.
    ///
    /// With `x̂ = (x − μ) / √(σ² + ε)`, `g′ = g` where the mask passes and zero elsewhere, and sums
    /// over the `n` numbers of a channel: `∂L/∂β = Σ g′`, `∂L/∂γ = Σ g′ x̂`, `∂L/∂residual = g′`,
    /// and `∂L/∂x = γ / √(σ² + ε) (g′ − ∂L/∂β / n − x̂ ∂L/∂γ / n)` if mean and variance are those
    /// of the batch (`batch_statistics`), or `γ / √(σ² + ε) g′` if they are fixed.
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
        let numbers = input.len();
        length("the input gradient", into.input.len(), numbers)?;
        if let Some(residual) = &into.residual {
            length("the residual gradient", residual.len(), numbers)?;
        }
        let source = Source {
            input,
            output_gradient,
            factors,
            mask,
            batch_statistics,
        };
        // SAFETY: gradients are numbers, and nothing else is written.
        let (residual, input) = unsafe {
            let residual = into.residual.map(|residual| places(residual));
            (residual, places(into.input))
        };
        self.gradients_to(source, input, residual, into.gamma, into.beta)
    }

    /// New vectors of the gradients of input, residual (empty unless wanted), `γ` and `β`.
    #[cfg(feature = "flex")]
    pub(crate) fn new_gradients(
        &self,
        source: Source<'_>,
        with_residual: bool,
    ) -> Result<[Vec<f32>; 4]> {
        let numbers = source.input.len();
        let (mut gamma, mut beta) = (vec![0.0; self.channels], vec![0.0; self.channels]);
        let mut residual = Vec::new();
        let write = |input: &mut [Place]| {
            if !with_residual {
                return self.gradients_to(source, input, None, &mut gamma, &mut beta);
            }
            let write = |residual: &mut [Place]| {
                self.gradients_to(source, input, Some(residual), &mut gamma, &mut beta)
            };
            // SAFETY: as below.
            residual = unsafe { super::super::scratch::written(numbers, write) }?;
            Ok(())
        };
        // SAFETY: planes cover the input, and both gradients are written at every number of every
        // plane.
        let input = unsafe { super::super::scratch::written(numbers, write) }?;
        Ok([input, residual, gamma, beta])
    }

    /// To places as many as the input's numbers.
    fn gradients_to(
        &self,
        source: Source<'_>,
        into: &mut [Place],
        residual: Option<&mut [Place]>,
        gamma: &mut [f32],
        beta: &mut [f32],
    ) -> Result<()> {
        let Source {
            input,
            output_gradient,
            factors,
            mask,
            batch_statistics,
        } = source;
        let images = self.images(input)?;
        let numbers = input.len();
        length("the output gradient", output_gradient.len(), numbers)?;
        factors.check(self.channels)?;
        if let GradientMask::Output(output) = mask {
            length("the output", output.len(), numbers)?;
        }
        length("the gradient of gamma", gamma.len(), self.channels)?;
        length("the gradient of beta", beta.len(), self.channels)?;
        let job = Backward {
            norm: *self,
            images,
            input,
            output_gradient,
            factors,
            scales: &factors.scales(),
            batch_statistics,
            input_gradient: Shared::of(into),
            residual_gradient: residual.map(Shared::of),
        };
        match mask {
            GradientMask::None => job.run(Open, gamma, beta),
            GradientMask::Recomputed => job.run(Recomputed, gamma, beta),
            GradientMask::Output(output) => job.run(Output(output), gamma, beta),
        }
        Ok(())
    }
}
