//! VGGs for inference.

use super::Vgg;
use crate::error::Result;
use crate::inference::{Filters, Network, SparseNetwork};
use crate::models::parts;

impl Vgg {
    /// The trained network for images of a height and width, on the CPU and without burn's tensors.
    ///
    /// # Errors
    ///
    /// If the images have less than 16 pixels on a side, or more than 8192.
    pub fn to_sparse_network(&self, image: [usize; 2]) -> Result<SparseNetwork> {
        if let Some(side) = image.into_iter().find(|side| *side < 16) {
            return parts::invalid("image", side, "at least 16 on a side");
        }
        let [_, channels, ..] = self.stages[0][0].conv.weight.dims();
        let mut network = Network::new([channels, image[0], image[1]]);
        for (number, stage) in self.stages.iter().enumerate() {
            if number > 0 {
                network = network.max_pool(2, 2, 0);
            }
            for layer in stage {
                network = network.conv(Filters::of(&layer.conv)?.norm(&layer.bn).relu())?;
            }
        }
        let head = Filters::linear(&self.classifier);
        Ok(network.mean().conv(head)?.finish())
    }
}
