//! Wide ResNets for inference.

use super::{PreActivationBlock, WideResNet};
use crate::error::Result;
use crate::inference::{Filters, Network, SparseNetwork};

impl WideResNet {
    /// The trained network for images of a height and width, on the CPU and without burn's tensors.
    ///
    /// # Errors
    ///
    /// If the images have no pixels, or more than 8192 on a side.
    pub fn to_sparse_network(&self, image: [usize; 2]) -> Result<SparseNetwork> {
        let stem = Filters::of(&self.conv1)?;
        let network = Network::new([stem.channels(), image[0], image[1]]).conv(stem)?;
        let mut blocks = self.blocks();
        let network = blocks.try_fold(network, |network, block| block.append(network))?;
        let head = Filters::linear(&self.fc);
        Ok(network.norm_relu(&self.bn1).mean().conv(head)?.finish())
    }
}

impl PreActivationBlock {
    /// The second norm follows a convolution and is folded into it; the first follows a sum and is a step of its own.
    fn append(&self, network: Network) -> Result<Network> {
        let first = Filters::of(&self.conv1)?.norm(&self.bn2).relu();
        let last = Filters::of(&self.conv2)?;
        match &self.shortcut {
            Some(shortcut) => {
                let network = network.norm_relu(&self.bn1);
                let body = network.branch().conv(first)?;
                let around = network.branch().conv(Filters::of(shortcut)?)?;
                network.residual(body, last, around)
            }
            None => {
                let body = network.branch().norm_relu(&self.bn1).conv(first)?;
                let around = network.branch();
                network.residual(body, last, around)
            }
        }
    }
}
