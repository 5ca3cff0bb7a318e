//! Trained sparse networks on a CPU, without burn's tensors: what a weight does not have costs nothing.
//!
//! [`SparseNetwork`] is a network for one image size with batch norm folded into its convolutions and only live weights kept, 8
//! bytes each. Weights are live if they are not zero, so a model file or a model after training is all it needs. Activations
//! are plain slices; images are worked on a few at a time, so that their activations stay in the caches.
//!
//! Its logits are the model's but for rounding: batch norm is a factor of the weights here, a step of its own there.

mod layer;

use rayon::prelude::*;

use crate::error::{Error, Result};
pub(crate) use layer::{Block, Conv, Head, Shortcut};

/// Images that a thread takes through the network together.
const TOGETHER: usize = 4;

/// A trained network for inference on a CPU.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{module::Module, tensor::Device};
/// use zosam::models::ResNetConfig;
/// let model = ResNetConfig::resnet32(10).with_depth(8).with_width(4).init(&Device::flex())?;
/// let network = model.to_sparse_network([32, 32])?;
/// let images = vec![0.5; 2 * 3 * 32 * 32]; // two, normalised, `[3, 32, 32]` each
/// assert_eq!(network.logits(&images)?.len(), 2 * 10);
/// assert!(network.logits(&images[1..]).is_err());
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SparseNetwork {
    /// Numbers in an image.
    image: usize,
    stem: Conv,
    blocks: Vec<Block>,
    head: Head,
}

impl SparseNetwork {
    pub(crate) fn new(stem: Conv, blocks: Vec<Block>, head: Head) -> Self {
        Self {
            image: stem.inputs(),
            stem,
            blocks,
            head,
        }
    }

    /// Logits `[images, classes]` of normalised images `[images, channels, height, width]`, in row-major order.
    ///
    /// The same for any number of threads, and for an image alone or among others.
    ///
    /// # Errors
    ///
    /// If the numbers are not those of whole images.
    pub fn logits(&self, images: &[f32]) -> Result<Vec<f32>> {
        if !images.len().is_multiple_of(self.image) {
            return Err(Error::Mismatch {
                what: "the images",
                reason: format!("{} numbers, {} in an image", images.len(), self.image),
            });
        }
        let count = images.len() / self.image;
        let classes = self.head.classes();
        let mut logits = vec![0.0; count * classes];
        let parts = images.par_chunks(TOGETHER * self.image);
        let parts = parts.zip(logits.par_chunks_mut(TOGETHER * classes));
        parts.try_for_each(|(images, logits)| self.few(images, logits))?;
        Ok(logits)
    }

    fn few(&self, images: &[f32], logits: &mut [f32]) -> Result<()> {
        let count = images.len() / self.image;
        let mut hidden = vec![0.0; count * self.stem.outputs()];
        self.stem.run(images, None, &mut hidden)?;
        for block in &self.blocks {
            hidden = block.run(&hidden, count)?;
        }
        self.head.run(&hidden, logits);
        Ok(())
    }

    /// Number of live weights, biases apart.
    pub fn live(&self) -> usize {
        let blocks = self.blocks.iter().flat_map(Block::convs);
        let convs = blocks.chain([&self.stem]).map(Conv::live);
        convs.sum::<usize>() + self.head.live()
    }

    /// Bytes of weights, biases and of what finds the weights.
    pub fn bytes(&self) -> usize {
        let blocks = self.blocks.iter().flat_map(Block::convs);
        let convs = blocks.chain([&self.stem]).map(Conv::bytes);
        convs.sum::<usize>() + self.head.bytes()
    }
}
