//! Images into pieces and out of them, and their means.

use super::Kernel;
use crate::error::Result;
use crate::inference::run::Sources;
use crate::kernels::Mosaic;

/// Cuts planes into pieces.
#[derive(Debug)]
pub(crate) struct PutPieces(pub Mosaic);

/// Puts the pieces of planes together.
#[derive(Debug)]
pub(crate) struct TakePieces(pub Mosaic);

impl Kernel for PutPieces {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        self.0.put(from.floats(0), to)
    }
}

impl Kernel for TakePieces {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        self.0.take(from.floats(0), to)
    }
}

/// The sum of each plane, which lies in pieces, times a factor.
#[derive(Debug)]
pub(crate) struct SumPieces(pub Mosaic, pub f32);

impl Kernel for SumPieces {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        self.0.sums(from.floats(0), self.1, to)
    }
}
