//! Wide ResNets for small images.

mod block;
mod config;
mod tangent;

pub use block::PreActivationBlock;
pub use config::WideResNetConfig;

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::parts;
use crate::nn::{BatchNorm, Conv2d, Linear};

/// A wide ResNet; build one with [`WideResNetConfig`].
///
/// Zagoruyko and Komodakis, "Wide Residual Networks", 2016 (arXiv 1605.07146): blocks of two 3×3
/// convolutions, B(3, 3), with the activation first; where the number of channels changes, the
/// shortcut's convolution takes the activated input, as in the authors' code. Input
/// `[batch, channels, height, width]`, output logits `[batch, classes]`. Height and width may be
/// any size of at least 4: features are averaged over what is left of the image.
#[derive(Module, Debug)]
pub struct WideResNet {
    conv1: Conv2d,
    block1: Vec<PreActivationBlock>,
    block2: Vec<PreActivationBlock>,
    block3: Vec<PreActivationBlock>,
    bn1: BatchNorm,
    fc: Linear,
}

impl WideResNet {
    /// Logits `[batch, classes]` of images `[batch, channels, height, width]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut hidden = self.conv1.forward(images);
        for block in self.blocks() {
            hidden = block.forward(hidden);
        }
        let hidden = self.bn1.forward_relu(hidden);
        self.fc.forward(parts::global_mean(hidden))
    }

    /// Cross-entropy of images with labels `[batch]`, averaged over the batch, and the logits.
    pub fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>) {
        parts::loss_of(self.forward(images), labels)
    }

    fn blocks(&self) -> impl Iterator<Item = &PreActivationBlock> {
        self.block1.iter().chain(&self.block2).chain(&self.block3)
    }
}
