//! The CIFAR ResNets: 20, 32, 44, 56 and 110 layers.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

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
        let conv1 = conv(self.channels, self.width, 3, 1, self.variant).init(device);
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
            bn1: BatchNormConfig::new(self.width).init(device),
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
                Initializer::Uniform {
                    min: -bound,
                    max: bound,
                },
            ),
            ResNetVariant::Grasp => (
                Initializer::Normal {
                    mean: 0.0,
                    std: 0.01,
                },
                Initializer::Zeros,
            ),
        };
        let mut linear = LinearConfig::new(features, self.classes)
            .with_bias(false)
            .with_initializer(weight)
            .init(device);
        linear.bias = Some(bias.init([self.classes], device));
        linear
    }

    fn validate(&self) -> Result<()> {
        let invalid = |field, value: usize, valid| {
            Err(Error::Config {
                field,
                value: value.to_string(),
                valid,
            })
        };
        if self.depth < 8 || !(self.depth - 2).is_multiple_of(6) {
            return invalid(
                "depth",
                self.depth,
                "6n + 2 with n ≥ 1: 8, 14, 20, 32, 44, 56, 110",
            );
        }
        for (field, value) in [
            ("width", self.width),
            ("classes", self.classes),
            ("channels", self.channels),
        ] {
            if value == 0 {
                return invalid(field, value, "at least 1");
            }
        }
        Ok(())
    }
}

/// A 3×3 or 1×1 convolution with "same" padding and no bias.
fn conv(
    from: usize,
    to: usize,
    kernel: usize,
    stride: usize,
    variant: ResNetVariant,
) -> Conv2dConfig {
    let initializer = Initializer::KaimingNormal {
        gain: std::f64::consts::SQRT_2,
        // The GraSP line scales by the fan-out; He et al. by the fan-in.
        fan_out_only: variant == ResNetVariant::Grasp,
    };
    let padding = kernel / 2;
    Conv2dConfig::new([from, to], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .with_bias(false)
        .with_initializer(initializer)
}

/// Two 3×3 convolutions with batch norm and a shortcut around them.
#[derive(Module, Debug)]
pub struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    shortcut: Option<Downsample>,
    /// Channels of zeros that a weightless shortcut appends, where the number of channels doubles.
    appended: usize,
}

impl BasicBlock {
    fn new(from: usize, to: usize, stride: usize, variant: ResNetVariant, device: &Device) -> Self {
        let projected = from != to && variant == ResNetVariant::Grasp;
        Self {
            conv1: conv(from, to, 3, stride, variant).init(device),
            bn1: BatchNormConfig::new(to).init(device),
            conv2: conv(to, to, 3, 1, variant).init(device),
            bn2: BatchNormConfig::new(to).init(device),
            shortcut: projected.then(|| Downsample {
                conv: conv(from, to, 1, stride, variant).init(device),
                bn: BatchNormConfig::new(to).init(device),
            }),
            appended: if projected { 0 } else { to - from },
        }
    }

    /// `[batch, from, h, w]` to `[batch, to, h/stride, w/stride]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let hidden = relu(self.bn1.forward(self.conv1.forward(input.clone())));
        let residual = self.bn2.forward(self.conv2.forward(hidden));
        let shortcut = match &self.shortcut {
            Some(downsample) => downsample.forward(input),
            None if self.appended > 0 => subsample(input, self.appended),
            None => input,
        };
        relu(residual + shortcut)
    }
}

/// He et al.'s option A: every other pixel, and zeros for the new channels, half of them on each side.
fn subsample(input: Tensor<4>, appended: usize) -> Tensor<4> {
    let [batch, _, height, width] = input.dims();
    let picked = input.slice(burn::tensor::s![.., .., 0..height;2, 0..width;2]);
    let [_, _, height, width] = picked.dims();
    let zeros = |channels| Tensor::zeros([batch, channels, height, width], &picked.device());
    let (before, after) = (zeros(appended / 2), zeros(appended - appended / 2));
    Tensor::cat(vec![before, picked, after], 1)
}

/// A shortcut of a strided 1×1 convolution and batch norm.
#[derive(Module, Debug)]
pub struct Downsample {
    conv: Conv2d,
    bn: BatchNorm,
}

impl Downsample {
    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.bn.forward(self.conv.forward(input))
    }
}

/// A ResNet for small images; build one with [`ResNetConfig`].
///
/// He et al., "Deep Residual Learning for Image Recognition", 2015 (arXiv 1512.03385), section 4.2. Input
/// `[batch, channels, height, width]`, output logits `[batch, classes]`. Height and width may be any size of
/// at least 4: features are averaged over what is left of the image.
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<BasicBlock>,
    layer2: Vec<BasicBlock>,
    layer3: Vec<BasicBlock>,
    linear: Linear,
}

/// The 32-layer network of the paper.
pub type ResNet32 = ResNet;

impl ResNet {
    /// Logits `[batch, classes]` of images `[batch, channels, height, width]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut hidden = relu(self.bn1.forward(self.conv1.forward(images)));
        for block in self.layer1.iter().chain(&self.layer2).chain(&self.layer3) {
            hidden = block.forward(hidden);
        }
        let features = hidden.mean_dim(3).mean_dim(2).flatten(1, 3);
        self.linear.forward(features)
    }

    /// Cross-entropy of images with labels `[batch]`, averaged over the batch, and the logits.
    pub fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>) {
        let logits = self.forward(images);
        let loss = CrossEntropyLossConfig::new()
            .init(&logits.device())
            .forward(logits.clone(), labels);
        (loss, logits)
    }

    /// How often a forward pass uses each weight of a layer, for images of a height and width: the number
    /// of output pixels of a convolution, 1 for the classifier. `None` for other paths.
    pub fn uses(&self, path: &str, [height, width]: [usize; 2]) -> Option<u64> {
        let halved = |size: usize, times: u32| (0..times).fold(size, |size, _| size.div_ceil(2));
        let stage = match path.split('.').next()? {
            _ if path.contains("bn") => return None,
            "conv1" | "layer1" => 0,
            "layer2" => 1,
            "layer3" => 2,
            "linear" => return Some(1),
            _ => return None,
        };
        Some((halved(height, stage) * halved(width, stage)) as u64)
    }

    /// The classifier's weight, `[features, classes]`.
    pub fn classifier(&self) -> &Param<Tensor<2>> {
        &self.linear.weight
    }
}
