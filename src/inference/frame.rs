//! Images into frames and out of them.

use super::layer::Layer;
use crate::error::Result;
use crate::kernels::Frame;

/// Puts planes into frames.
#[derive(Debug, Clone)]
pub(crate) struct IntoFrames(pub Planes);

/// Takes planes out of their frames.
#[derive(Debug, Clone)]
pub(crate) struct OutOfFrames(pub Planes);

/// The planes of an image.
#[derive(Debug, Clone)]
pub(crate) struct Planes {
    pub frame: Frame,
    /// Channels, height and width.
    pub shape: [usize; 3],
}

impl Planes {
    /// Numbers of an image without and with frames.
    fn sizes(&self) -> [usize; 2] {
        let [channels, height, width] = self.shape;
        [channels * height * width, channels * self.frame.length()]
    }
}

impl Layer for IntoFrames {
    fn sizes(&self) -> [usize; 2] {
        self.0.sizes()
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        self.0.frame.put(input, output)
    }
}

impl Layer for OutOfFrames {
    fn sizes(&self) -> [usize; 2] {
        let [without, with] = self.0.sizes();
        [with, without]
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        self.0.frame.take(input, output)
    }
}
