//! The family of CIFAR VGGs.

use burn::nn::Initializer;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::{ConvNorm, Vgg};
use crate::error::Result;
use crate::models::parts;

/// Configuration of a VGG for small images.
///
/// | constructor | 3×3 convolutions by stage | parameters (10 classes) |
/// |---|---|---|
/// | [`vgg11`](Self::vgg11) | 1, 1, 2, 2, 2 | 9,228,362 |
/// | [`vgg13`](Self::vgg13) | 2, 2, 2, 2, 2 | 9,413,066 |
/// | [`vgg16`](Self::vgg16) | 2, 2, 3, 3, 3 | 14,724,042 |
/// | [`vgg19`](Self::vgg19) | 2, 2, 4, 4, 4 | 20,035,018 |
///
/// Defaults: width 64, 3 channels.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use zosam::models::VggConfig;
/// let device = Device::flex();
/// let model = VggConfig::vgg19(10).with_width(4).init(&device)?;
/// let logits = model.forward(Tensor::zeros([2, 3, 32, 32], &device));
/// assert_eq!(logits.dims(), [2, 10]);
/// assert!(VggConfig::vgg19(10).with_depth(18).init(&device).is_err());
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VggConfig {
    /// Number of layers by the name of the network: 11, 13, 16 or 19. With one linear layer instead
    /// of the ImageNet network's three there are two fewer.
    pub depth: usize,
    /// Channels of the first stage, w; the stages have w, 2w, 4w, 8w, 8w.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
    /// Channels of the input images.
    pub channels: usize,
}

impl VggConfig {
    /// VGG-19, the network of GraSP's and many later tables: 20.0 M parameters.
    pub fn vgg19(classes: usize) -> Self {
        Self {
            depth: 19,
            width: 64,
            classes,
            channels: 3,
        }
    }

    /// VGG-16: 14.7 M parameters.
    pub fn vgg16(classes: usize) -> Self {
        Self::vgg19(classes).with_depth(16)
    }

    /// VGG-13: 9.4 M parameters.
    pub fn vgg13(classes: usize) -> Self {
        Self::vgg19(classes).with_depth(13)
    }

    /// VGG-11: 9.2 M parameters.
    pub fn vgg11(classes: usize) -> Self {
        Self::vgg19(classes).with_depth(11)
    }

    /// Sets the number of layers: 11, 13, 16 or 19.
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

    /// A network with random weights: Kaiming-normal convolutions by the fan-out, a classifier of
    /// N(0, 0.01) without bias at first, as GraSP's.
    ///
    /// # Errors
    ///
    /// A depth that is not 11, 13, 16 or 19, or a size of 0.
    pub fn init(&self, device: &Device) -> Result<Vgg> {
        parts::at_least_one([
            ("width", self.width),
            ("classes", self.classes),
            ("channels", self.channels),
        ])?;
        let layers = layers_by_stage(self.depth)?;
        let mut from = self.channels;
        let mut stages = Vec::new();
        for (layers, factor) in layers.into_iter().zip([1, 2, 4, 8, 8]) {
            let mut stage = Vec::new();
            for _ in 0..layers {
                let to = factor * self.width;
                stage.push(ConvNorm::new(from, to, device));
                from = to;
            }
            stages.push(stage);
        }
        let weight = Initializer::Normal {
            mean: 0.0,
            std: 0.01,
        };
        let sizes = [from, self.classes];
        Ok(Vgg {
            stages,
            classifier: parts::classifier(sizes, weight, Initializer::Zeros, device),
        })
    }
}

fn layers_by_stage(depth: usize) -> Result<[usize; 5]> {
    match depth {
        11 => Ok([1, 1, 2, 2, 2]),
        13 => Ok([2, 2, 2, 2, 2]),
        16 => Ok([2, 2, 3, 3, 3]),
        19 => Ok([2, 2, 4, 4, 4]),
        _ => parts::invalid("depth", depth, "11, 13, 16 or 19"),
    }
}
