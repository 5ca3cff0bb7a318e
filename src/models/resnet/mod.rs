//! The CIFAR ResNets: 20, 32, 44, 56 and 110 layers.

mod config;
mod tangent;

pub use config::{ResNetConfig, ResNetVariant};

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use super::parts::{self, Fan};
use crate::nn::{BatchNorm, Conv2d, Linear};

/// A 3×3 or 1×1 convolution with "same" padding and no bias.
fn conv(
    from: usize,
    to: usize,
    kernel: usize,
    stride: usize,
    variant: ResNetVariant,
    device: &Device,
) -> Conv2d {
    // The GraSP line scales by the fan-out; He et al. by the fan-in.
    let fan = match variant {
        ResNetVariant::He => Fan::In,
        ResNetVariant::Grasp => Fan::Out,
    };
    parts::conv([from, to], kernel, stride, fan, device)
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
            conv1: conv(from, to, 3, stride, variant, device),
            bn1: parts::norm(to, device),
            conv2: conv(to, to, 3, 1, variant, device),
            bn2: parts::norm(to, device),
            shortcut: projected.then(|| Downsample {
                conv: conv(from, to, 1, stride, variant, device),
                bn: parts::norm(to, device),
            }),
            appended: if projected { 0 } else { to - from },
        }
    }

    /// `[batch, from, h, w]` to `[batch, to, h/stride, w/stride]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let hidden = self.bn1.forward_relu(self.conv1.forward(input.clone()));
        let hidden = self.conv2.forward(hidden);
        let shortcut = match &self.shortcut {
            Some(downsample) => downsample.forward(input),
            None if self.appended > 0 => subsample(input, self.appended),
            None => input,
        };
        self.bn2.forward_residual_relu(hidden, shortcut)
    }
}

/// He et al.'s option A: every other pixel, and zeros for the new channels, half of them on each
/// side.
fn subsample(input: Tensor<4>, appended: usize) -> Tensor<4> {
    let [batch, _, height, width] = input.dims();
    let picked = input.slice(burn::tensor::s![.., .., 0..height;2, 0..width;2]);
    let [_, _, height, width] = picked.dims();
    let options = (&picked.device(), picked.dtype());
    let zeros = |channels| Tensor::zeros([batch, channels, height, width], options);
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
/// He et al., "Deep Residual Learning for Image Recognition", 2015 (arXiv 1512.03385), section 4.2.
/// Input `[batch, channels, height, width]`, output logits `[batch, classes]`. Height and width may
/// be any size of at least 4: features are averaged over what is left of the image.
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
        let mut hidden = self.bn1.forward_relu(self.conv1.forward(images));
        for block in self.blocks() {
            hidden = block.forward(hidden);
        }
        self.linear.forward(parts::global_mean(hidden))
    }

    /// Cross-entropy of images with labels `[batch]`, averaged over the batch, and the logits.
    pub fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>) {
        parts::loss_of(self.forward(images), labels)
    }

    fn blocks(&self) -> impl Iterator<Item = &BasicBlock> {
        self.layer1.iter().chain(&self.layer2).chain(&self.layer3)
    }

    /// The classifier's weight, `[features, classes]`.
    pub fn classifier(&self) -> &Param<Tensor<2>> {
        &self.linear.weight
    }
}
