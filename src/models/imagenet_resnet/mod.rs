//! The ImageNet ResNets: 18, 34, 50, 101 and 152 layers.

mod block;
mod config;
mod tangent;

pub use block::ResidualBlock;
pub use config::{BlockKind, ImageNetResNetConfig, Stem};

use burn::module::Module;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Int, Tensor};

use super::parts;
use crate::nn::{BatchNorm, Conv2d, Linear};

/// After the first convolution: the largest of 3×3 pixels at every other place.
fn pooling() -> MaxPoolOptions<2> {
    MaxPoolOptions::new([3, 3])
        .with_stride([2, 2])
        .with_padding([1, 1])
}

/// A ResNet for large images; build one with [`ImageNetResNetConfig`].
///
/// He et al., "Deep Residual Learning for Image Recognition", 2015 (arXiv 1512.03385), section 4.1,
/// in torchvision's variant: 1×1 convolutions as shortcuts where the shape changes, the stride of a
/// bottleneck in its 3×3 convolution. Input `[batch, channels, height, width]`, output logits
/// `[batch, classes]`.
///
/// Paths of parameters are the keys of torchvision's state dict (`layer1.0.downsample.0.weight`),
/// but for batch norm, whose `weight` and `bias` burn calls `gamma` and `beta`; the weight of `fc`
/// is transposed, `[features, classes]`.
#[derive(Module, Debug)]
pub struct ImageNetResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<ResidualBlock>,
    layer2: Vec<ResidualBlock>,
    layer3: Vec<ResidualBlock>,
    layer4: Vec<ResidualBlock>,
    fc: Linear,
    /// Whether the stem pools.
    large_images: bool,
}

impl ImageNetResNet {
    /// Logits `[batch, classes]` of images `[batch, channels, height, width]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut hidden = self.bn1.forward_relu(self.conv1.forward(images));
        if self.large_images {
            hidden = max_pool2d(hidden, pooling());
        }
        for block in self.blocks() {
            hidden = block.forward(hidden);
        }
        self.fc.forward(parts::global_mean(hidden))
    }

    /// Cross-entropy of images with labels `[batch]`, averaged over the batch, and the logits.
    pub fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>) {
        parts::loss_of(self.forward(images), labels)
    }

    fn blocks(&self) -> impl Iterator<Item = &ResidualBlock> {
        let stages = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        stages.into_iter().flatten()
    }
}
