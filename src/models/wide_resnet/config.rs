//! The family of wide ResNets.

use burn::nn::Initializer;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{PreActivationBlock, WideResNet};
use crate::error::{Result, check};
use crate::models::parts::{self, Fan};

/// Configuration of a wide ResNet, WRN-depth-factor.
///
/// | constructor | parameters (10 classes) |
/// |---|---|
/// | [`wrn_28_10`](Self::wrn_28_10) | 36,479,194 |
/// | [`wrn_16_8`](Self::wrn_16_8) | 10,961,370 |
/// | [`wrn_28_2`](Self::wrn_28_2) | 1,467,610 |
/// | [`wrn_22_2`](Self::wrn_22_2) | 1,079,642 |
///
/// Defaults: no dropout, 3 channels, 16 channels after the first convolution.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use zosam::models::WideResNetConfig;
/// let device = Device::flex();
/// let model = WideResNetConfig::new(10, 1, 10).with_dropout(0.3).init(&device)?;
/// let logits = model.forward(Tensor::zeros([2, 3, 8, 8], &device));
/// assert_eq!(logits.dims(), [2, 10]);
/// assert!(WideResNetConfig::new(27, 10, 10).init(&device).is_err());
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WideResNetConfig {
    /// Number of layers by the authors' count, 6n + 4.
    pub depth: usize,
    /// Width factor k: the stages have k, 2k and 4k times as many channels as the first
    /// convolution.
    pub factor: usize,
    /// Channels after the first convolution.
    pub base: usize,
    /// Number of classes.
    pub classes: usize,
    /// Channels of the input images.
    pub channels: usize,
    /// Chance of an activation between a block's convolutions to be dropped in training, from 0 to
    /// below 1. The paper reports both 0 and 0.3 on CIFAR.
    pub dropout: f64,
}

impl WideResNetConfig {
    /// WRN-depth-factor, without dropout.
    pub fn new(depth: usize, factor: usize, classes: usize) -> Self {
        Self {
            depth,
            factor,
            base: 16,
            classes,
            channels: 3,
            dropout: 0.0,
        }
    }

    /// WRN-28-10: 36.5 M parameters.
    pub fn wrn_28_10(classes: usize) -> Self {
        Self::new(28, 10, classes)
    }

    /// WRN-16-8: 11.0 M parameters, the smallest of SNIP's and SNFS's.
    pub fn wrn_16_8(classes: usize) -> Self {
        Self::new(16, 8, classes)
    }

    /// WRN-28-2: 1.5 M parameters, the network of DSR on CIFAR.
    pub fn wrn_28_2(classes: usize) -> Self {
        Self::new(28, 2, classes)
    }

    /// WRN-22-2: 1.1 M parameters, the network of RigL on CIFAR.
    pub fn wrn_22_2(classes: usize) -> Self {
        Self::new(22, 2, classes)
    }

    /// Sets the channels after the first convolution.
    pub fn with_base(mut self, base: usize) -> Self {
        self.base = base;
        self
    }

    /// Sets the channels of the input images.
    pub fn with_channels(mut self, channels: usize) -> Self {
        self.channels = channels;
        self
    }

    /// Sets the chance of an activation to be dropped in training.
    pub fn with_dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// A network with random weights: Kaiming-normal convolutions by the fan-out, a classifier
    /// without bias at first.
    ///
    /// # Errors
    ///
    /// A depth that is not 6n + 4 with n ≥ 1, a size of 0, or a chance outside of [0, 1).
    pub fn init(&self, device: &Device) -> Result<WideResNet> {
        self.validate()?;
        let stage = |from, stage: usize| -> Vec<_> {
            let to = (self.base * self.factor) << stage;
            let stride = if stage == 0 { 1 } else { 2 };
            let first = PreActivationBlock::new([from, to], stride, self.dropout, device);
            let rest = (1..(self.depth - 4) / 6)
                .map(|_| PreActivationBlock::new([to, to], 1, self.dropout, device));
            std::iter::once(first).chain(rest).collect()
        };
        let width = self.base * self.factor;
        let features = 4 * width;
        Ok(WideResNet {
            conv1: parts::conv([self.channels, self.base], 3, 1, Fan::Out, device),
            block1: stage(self.base, 0),
            block2: stage(width, 1),
            block3: stage(2 * width, 2),
            bn1: parts::norm(features, device),
            fc: parts::classifier(
                [features, self.classes],
                parts::pytorch_default(features),
                Initializer::Zeros,
                device,
            ),
        })
    }

    fn validate(&self) -> Result<()> {
        if self.depth < 10 || !(self.depth - 4).is_multiple_of(6) {
            let valid = "6n + 4 with n ≥ 1: 10, 16, 22, 28, 34, 40";
            return parts::invalid("depth", self.depth, valid);
        }
        let valid = "at least 0 and less than 1";
        let is_chance = (0.0..1.0).contains(&self.dropout);
        check("dropout", self.dropout, is_chance, valid)?;
        parts::at_least_one([
            ("factor", self.factor),
            ("base", self.base),
            ("classes", self.classes),
            ("channels", self.channels),
        ])
    }
}
