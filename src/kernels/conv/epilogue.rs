//! What a product starts from and ends with.

use super::super::bounds::Bounds;
use super::super::rows::Start;
use super::super::shape::length;
use crate::error::Result;

/// What is done to an output before it is written: `y = bounds(W ⋆ x + bias + residual)`, each part
/// optional.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// One number per output channel.
    pub bias: Option<&'a [f32]>,
    /// As many numbers as the output.
    pub residual: Option<&'a [f32]>,
    /// ReLU, an upper bound.
    pub bounds: Bounds,
}

impl Epilogue<'_> {
    /// Checks the lengths for a number of channels and of outputs.
    pub(crate) fn check(&self, channels: usize, outputs: usize) -> Result<()> {
        if let Some(bias) = self.bias {
            length("the bias", bias.len(), channels)?;
        }
        match self.residual {
            Some(residual) => length("the residual", residual.len(), outputs),
            None => Ok(()),
        }
    }
}

/// Sums of the first block start from the bias, later ones go on.
#[inline(always)]
pub(super) fn start_of(block: usize, bias: Option<&[f32]>, row: usize) -> Start {
    match block {
        0 => Start::Bias(bias.map_or(0.0, |bias| bias[row])),
        _ => Start::Sums,
    }
}
