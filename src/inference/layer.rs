//! What a network is made of: layers on slices, and sequences of them.

use std::fmt::Debug;
use std::sync::Arc;

use crate::error::Result;

/// A step of a network, on any number of images at once.
pub(crate) trait Layer: Debug + Send + Sync {
    /// Numbers in an image, before and after.
    fn sizes(&self) -> [usize; 2];

    /// Writes all of `output`; both slices are whole images, and as many.
    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()>;

    /// Number of live weights.
    fn live(&self) -> usize {
        0
    }

    /// Bytes of weights, biases and of what finds the weights.
    fn bytes(&self) -> usize {
        0
    }
}

/// Layers one after another; none leave an image as it is.
#[derive(Debug, Clone)]
pub(crate) struct Sequence {
    pub image: usize,
    pub layers: Vec<Arc<dyn Layer>>,
}

impl Layer for Sequence {
    fn sizes(&self) -> [usize; 2] {
        let last = self.layers.last().map(|layer| layer.sizes()[1]);
        [self.image, last.unwrap_or(self.image)]
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let Some((last, before)) = self.layers.split_last() else {
            output.copy_from_slice(input);
            return Ok(());
        };
        let mut hidden: Option<Vec<f32>> = None;
        for layer in before {
            let from = hidden.as_deref().unwrap_or(input);
            let [inputs, outputs] = layer.sizes();
            let mut to = vec![0.0; from.len() / inputs * outputs];
            layer.run(from, &mut to)?;
            hidden = Some(to);
        }
        last.run(hidden.as_deref().unwrap_or(input), output)
    }

    fn live(&self) -> usize {
        self.layers.iter().map(|layer| layer.live()).sum()
    }

    fn bytes(&self) -> usize {
        self.layers.iter().map(|layer| layer.bytes()).sum()
    }
}
