//! ImageNet ResNets for inference.

use super::{ImageNetResNet, ResidualBlock};
use crate::error::Result;
use crate::inference::{Filters, Network, SparseNetwork};

impl ImageNetResNet {
    /// The trained network for images of a height and width, on the CPU and without burn's tensors.
    ///
    /// # Errors
    ///
    /// If the images have no pixels, or more than 8192 on a side.
    pub fn to_sparse_network(&self, image: [usize; 2]) -> Result<SparseNetwork> {
        let stem = Filters::of(&self.conv1)?.norm(&self.bn1).relu();
        let mut network = Network::new([stem.channels(), image[0], image[1]]).conv(stem)?;
        if self.large_images {
            network = network.max_pool(3, 2, 1);
        }
        let mut blocks = self.blocks();
        let network = blocks.try_fold(network, |network, block| block.append(network))?;
        let head = Filters::linear(&self.fc);
        Ok(network.mean().conv(head)?.finish())
    }
}

impl ResidualBlock {
    fn append(&self, network: Network) -> Result<Network> {
        let first = Filters::of(&self.conv1)?.norm(&self.bn1).relu();
        let second = Filters::of(&self.conv2)?.norm(&self.bn2).relu();
        let mut body = network.branch().conv(first)?;
        let last = match (&self.conv3, &self.bn3) {
            (Some(conv), Some(bn)) => {
                body = body.conv(second)?;
                Filters::of(conv)?.norm(bn).relu()
            }
            _ => second,
        };
        let mut around = network.branch();
        if let Some((conv, bn)) = &self.downsample {
            around = around.conv(Filters::of(conv)?.norm(bn))?;
        }
        network.residual(body, last, around)
    }
}
