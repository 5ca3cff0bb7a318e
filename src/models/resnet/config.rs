//! The family of CIFAR ResNets.

use burn::nn::Initializer;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{BasicBlock, ResNet, conv, parts};
use crate::error::Result;
use crate::nn::Linear;

/// Which of the two networks that the literature calls ResNet-32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResNetVariant {
    /// He et al.'s: shortcuts without weights, Kaiming-initialised convolutions.
    #[default]
    He,
    /// That of GraSP, MEST and, it seems, ZO-SAM: shortcuts of a 1×1 convolution and batch norm, an
    /// N(0, 0.01) classifier.
    Grasp,
}

/// Configuration of a CIFAR ResNet.
///
/// | constructor | widths | shortcuts | parameters (32 layers, 10 classes) |
/// |---|---|---|---|
/// | [`resnet32`](Self::resnet32) | 16, 32, 64 | padded identity | 464,154 |
/// | [`resnet32_wide`](Self::resnet32_wide) | 32, 64, 128 | 1×1 convolution | 1,860,522 |
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use zosam::models::ResNetConfig;
/// let device = Device::flex();
/// let model = ResNetConfig::resnet32(10).with_depth(8).init(&device).unwrap();
/// let logits = model.forward(Tensor::zeros([2, 3, 32, 32], &device));
/// assert_eq!(logits.dims(), [2, 10]);
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResNetConfig {
    /// Number of layers with weights, 6n + 2.
    pub depth: usize,
    /// Channels of the first stage; the second and third have twice and four times as many.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
    /// Channels of the input images.
    pub channels: usize,
    /// Shortcuts and initialisation.
    pub variant: ResNetVariant,
}

impl ResNetConfig {
    /// He et al.'s ResNet-32: 0.46 M parameters.
    pub fn resnet32(classes: usize) -> Self {
        Self {
            depth: 32,
            width: 16,
            classes,
            channels: 3,
            variant: ResNetVariant::He,
        }
    }

    /// The ResNet-32 of the sparse-training literature: twice as wide, 1.86 M parameters.
    pub fn resnet32_wide(classes: usize) -> Self {
        Self {
            width: 32,
            variant: ResNetVariant::Grasp,
            ..Self::resnet32(classes)
        }
    }

    /// Sets the number of layers: 6n + 2, that is 8, 14, 20, 26, 32, 44, 56, 110, …
    pub fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Sets the channels of the first stage.
    pub fn with_width(mut self, width: usize) -> Self {
        self.width = width;
        self
    }

    /// Sets the channels of the input images.
    pub fn with_channels(mut self, channels: usize) -> Self {
        self.channels = channels;
        self
    }

    /// Sets shortcuts and initialisation.
    pub fn with_variant(mut self, variant: ResNetVariant) -> Self {
        self.variant = variant;
        self
    }

    /// A network with random weights.
    ///
    /// # Errors
    ///
    /// A depth that is not 6n + 2 with n ≥ 1, or a size of 0.
    pub fn init(&self, device: &Device) -> Result<ResNet> {
        self.validate()?;
        let conv1 = conv(self.channels, self.width, 3, 1, self.variant, device);
        let blocks = (self.depth - 2) / 6;
        let stage = |stage: usize| {
            let out = self.width << stage;
            let first = match stage {
                0 => BasicBlock::new(out, out, 1, self.variant, device),
                _ => BasicBlock::new(out / 2, out, 2, self.variant, device),
            };
            let rest = (1..blocks).map(|_| BasicBlock::new(out, out, 1, self.variant, device));
            std::iter::once(first).chain(rest).collect()
        };
        Ok(ResNet {
            conv1,
            bn1: parts::norm(self.width, device),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            linear: self.classifier(device),
        })
    }

    fn classifier(&self, device: &Device) -> Linear {
        let features = 4 * self.width;
        let bound = (features as f64).sqrt().recip();
        let (weight, bias) = match self.variant {
            ResNetVariant::He => (
                Initializer::Normal {
                    mean: 0.0,
                    std: std::f64::consts::SQRT_2 * bound,
                },
                parts::pytorch_default(features),
            ),
            ResNetVariant::Grasp => (
                Initializer::Normal {
                    mean: 0.0,
                    std: 0.01,
                },
                Initializer::Zeros,
            ),
        };
        parts::classifier([features, self.classes], weight, bias, device)
    }

    fn validate(&self) -> Result<()> {
        if self.depth < 8 || !(self.depth - 2).is_multiple_of(6) {
            let valid = "6n + 2 with n ≥ 1: 8, 14, 20, 32, 44, 56, 110";
            return parts::invalid("depth", self.depth, valid);
        }
        parts::at_least_one([
            ("width", self.width),
            ("classes", self.classes),
            ("channels", self.channels),
        ])
    }
}
