//! The family of ImageNet ResNets.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{ImageNetResNet, ResidualBlock};
use crate::error::Result;
use crate::models::parts::{self, Fan};

/// The block that a network repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3 and 1×1 convolutions, the last with four times as many channels as the others.
    Bottleneck,
}

/// What comes before the first block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stem {
    /// A 7×7 convolution of stride 2 and a 3×3 max-pooling of stride 2, for images of 224 × 224.
    #[default]
    ImageNet,
    /// A 3×3 convolution of stride 1, for images of 32 × 32: a common choice where these networks
    /// are trained on CIFAR. Papers that report "ResNet-50 on CIFAR" seldom say which of the two
    /// they mean.
    Cifar,
}

/// Configuration of an ImageNet ResNet.
///
/// | constructor | blocks | parameters (1000 classes) |
/// |---|---|---|
/// | [`resnet18`](Self::resnet18) | basic 2, 2, 2, 2 | 11,689,512 |
/// | [`resnet34`](Self::resnet34) | basic 3, 4, 6, 3 | 21,797,672 |
/// | [`resnet50`](Self::resnet50) | bottleneck 3, 4, 6, 3 | 25,557,032 |
/// | [`resnet101`](Self::resnet101) | bottleneck 3, 4, 23, 3 | 44,549,160 |
/// | [`resnet152`](Self::resnet152) | bottleneck 3, 8, 36, 3 | 60,192,808 |
///
/// Defaults: width 64, 3 channels, [`Stem::ImageNet`].
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use zosam::models::{ImageNetResNetConfig, Stem};
/// let device = Device::flex();
/// let model = ImageNetResNetConfig::resnet50(1000).with_width(2).init(&device)?;
/// let logits = model.forward(Tensor::zeros([2, 3, 64, 64], &device));
/// assert_eq!(logits.dims(), [2, 1000]);
///
/// let config = ImageNetResNetConfig::resnet18(10).with_stem(Stem::Cifar).with_width(2);
/// let logits = config.init(&device)?.forward(Tensor::zeros([2, 3, 32, 32], &device));
/// assert_eq!(logits.dims(), [2, 10]);
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageNetResNetConfig {
    /// The block.
    pub kind: BlockKind,
    /// Blocks of each stage.
    pub blocks: [usize; 4],
    /// Channels of the first stage's 3×3 convolutions; the others have twice, four and eight times
    /// as many.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
    /// Channels of the input images.
    pub channels: usize,
    /// What comes before the first block.
    pub stem: Stem,
}

impl ImageNetResNetConfig {
    fn new(kind: BlockKind, blocks: [usize; 4], classes: usize) -> Self {
        Self {
            kind,
            blocks,
            width: 64,
            classes,
            channels: 3,
            stem: Stem::ImageNet,
        }
    }

    /// ResNet-18.
    pub fn resnet18(classes: usize) -> Self {
        Self::new(BlockKind::Basic, [2, 2, 2, 2], classes)
    }

    /// ResNet-34.
    pub fn resnet34(classes: usize) -> Self {
        Self::new(BlockKind::Basic, [3, 4, 6, 3], classes)
    }

    /// ResNet-50.
    pub fn resnet50(classes: usize) -> Self {
        Self::new(BlockKind::Bottleneck, [3, 4, 6, 3], classes)
    }

    /// ResNet-101.
    pub fn resnet101(classes: usize) -> Self {
        Self::new(BlockKind::Bottleneck, [3, 4, 23, 3], classes)
    }

    /// ResNet-152.
    pub fn resnet152(classes: usize) -> Self {
        Self::new(BlockKind::Bottleneck, [3, 8, 36, 3], classes)
    }

    /// Sets the blocks of each stage.
    pub fn with_blocks(mut self, blocks: [usize; 4]) -> Self {
        self.blocks = blocks;
        self
    }

    /// Sets the channels of the first stage's 3×3 convolutions.
    pub fn with_width(mut self, width: usize) -> Self {
        self.width = width;
        self
    }

    /// Sets the channels of the input images.
    pub fn with_channels(mut self, channels: usize) -> Self {
        self.channels = channels;
        self
    }

    /// Sets what comes before the first block.
    pub fn with_stem(mut self, stem: Stem) -> Self {
        self.stem = stem;
        self
    }

    /// A network with random weights: Kaiming-normal convolutions by the fan-out and PyTorch's
    /// default for the classifier, as torchvision's.
    ///
    /// # Errors
    ///
    /// A size of 0, or a stage without blocks.
    pub fn init(&self, device: &Device) -> Result<ImageNetResNet> {
        parts::at_least_one(self.blocks.map(|blocks| ("blocks", blocks)))?;
        parts::at_least_one([
            ("width", self.width),
            ("classes", self.classes),
            ("channels", self.channels),
        ])?;
        let (kernel, stride) = match self.stem {
            Stem::ImageNet => (7, 2),
            Stem::Cifar => (3, 1),
        };
        let conv1 = parts::conv(
            [self.channels, self.width],
            kernel,
            stride,
            Fan::Out,
            device,
        );
        let mut from = self.width;
        let mut stage = |stage: usize| -> Vec<_> {
            let block = |number| {
                let stride = if stage > 0 && number == 0 { 2 } else { 1 };
                let block =
                    ResidualBlock::new(self.kind, from, self.width << stage, stride, device);
                from = self.kind.outputs(self.width << stage);
                block
            };
            (0..self.blocks[stage]).map(block).collect()
        };
        let (layer1, layer2, layer3, layer4) = (stage(0), stage(1), stage(2), stage(3));
        let default = || parts::pytorch_default(from);
        Ok(ImageNetResNet {
            conv1,
            bn1: parts::norm(self.width, device),
            layer1,
            layer2,
            layer3,
            layer4,
            fc: parts::classifier([from, self.classes], default(), default(), device),
            large_images: self.stem == Stem::ImageNet,
        })
    }
}
