//! ResNets for inference.

use super::{BasicBlock, ResNet};
use crate::error::Result;
use crate::inference::{Filters, Network, SparseNetwork};

impl ResNet {
    /// The trained network for images of a height and width, on the CPU and without burn's tensors.
    ///
    /// # Errors
    ///
    /// If the images have no pixels, or more than 8192 on a side.
    pub fn to_sparse_network(&self, image: [usize; 2]) -> Result<SparseNetwork> {
        let stem = Filters::of(&self.conv1)?.norm(&self.bn1).relu();
        let network = Network::new([stem.channels(), image[0], image[1]]).conv(stem)?;
        let mut blocks = self.blocks();
        let network = blocks.try_fold(network, |network, block| block.append(network))?;
        let head = Filters::linear(&self.linear);
        Ok(network.mean().conv(head)?.finish())
    }
}

impl BasicBlock {
    fn append(&self, network: Network) -> Result<Network> {
        let first = Filters::of(&self.conv1)?.norm(&self.bn1).relu();
        let body = network.branch().conv(first)?;
        let around = network.branch();
        let around = match &self.shortcut {
            Some(shortcut) => around.conv(Filters::of(&shortcut.conv)?.norm(&shortcut.bn))?,
            None if self.appended > 0 => {
                around.subsample([self.appended / 2, self.appended - self.appended / 2])
            }
            None => around,
        };
        let last = Filters::of(&self.conv2)?.norm(&self.bn2).relu();
        network.residual(body, last, around)
    }
}
