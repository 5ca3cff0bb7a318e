//! ResNets for inference.

use super::{BasicBlock, ResNet};
use crate::error::Result;
use crate::inference::{Block, Conv, Head, Shortcut, SparseNetwork};

impl ResNet {
    /// The trained network for images of a height and width, on the CPU and without burn's tensors.
    ///
    /// # Errors
    ///
    /// If the images are too small.
    pub fn to_sparse_network(&self, image: [usize; 2]) -> Result<SparseNetwork> {
        let stem = Conv::folded(&self.conv1, &self.bn1, image, true)?;
        let mut size = stem.size();
        let mut blocks = Vec::new();
        for block in self.blocks() {
            let block = block.folded(size)?;
            size = block.second.size();
            blocks.push(block);
        }
        let head = Head::new(&self.linear, size);
        Ok(SparseNetwork::new(stem, blocks, head))
    }
}

impl BasicBlock {
    fn folded(&self, size: [usize; 2]) -> Result<Block> {
        let first = Conv::folded(&self.conv1, &self.bn1, size, true)?;
        let second = Conv::folded(&self.conv2, &self.bn2, first.size(), true)?;
        let shortcut = match &self.shortcut {
            Some(around) => {
                let conv = Conv::folded(&around.conv, &around.bn, size, false)?;
                Shortcut::Conv(Box::new(conv))
            }
            None if self.appended > 0 => Shortcut::Subsampled {
                input: [self.conv1.weight.dims()[1], size[0], size[1]],
                zeros: [self.appended / 2, self.appended - self.appended / 2],
            },
            None => Shortcut::Same,
        };
        Ok(Block {
            first,
            second,
            shortcut,
        })
    }
}
