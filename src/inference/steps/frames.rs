//! Images into frames and out of them.

use super::Kernel;
use crate::error::Result;
use crate::inference::run::Sources;
use crate::kernels::Frame;

/// Puts planes into frames.
#[derive(Debug)]
pub(crate) struct PutFrames(pub Frame);

/// Takes planes out of their frames.
#[derive(Debug)]
pub(crate) struct TakeFrames(pub Frame);

impl Kernel for PutFrames {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        self.0.put(from.floats(0), to)
    }
}

impl Kernel for TakeFrames {
    fn run(&self, from: &Sources<'_>, to: &mut [f32]) -> Result<()> {
        self.0.take(from.floats(0), to)
    }
}
