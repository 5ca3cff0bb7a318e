//! The CIFAR VGGs: 11, 13, 16 and 19 layers.

mod config;
mod tangent;

pub use config::VggConfig;

use burn::module::Module;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Int, Tensor};

use super::parts::{self, Fan};
use crate::nn::{BatchNorm, Conv2d, Linear};

/// `relu(bn(conv(x)))` with a 3×3 convolution: `[batch, from, h, w]` to `[batch, to, h, w]`.
#[derive(Module, Debug)]
pub struct ConvNorm {
    conv: Conv2d,
    bn: BatchNorm,
}

impl ConvNorm {
    fn new(from: usize, to: usize, device: &Device) -> Self {
        Self {
            conv: parts::conv([from, to], 3, 1, Fan::Out, device),
            bn: parts::norm(to, device),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.bn.forward_relu(self.conv.forward(input))
    }
}

/// Between the stages: the largest of each 2×2 pixels.
fn pooling() -> MaxPoolOptions<2> {
    MaxPoolOptions::new([2, 2]).with_stride([2, 2])
}

/// A VGG for small images; build one with [`VggConfig`].
///
/// Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
/// 2014 (arXiv 1409.1556), in the variant of Wang et al.'s GraSP, 2020 (arXiv 2002.07376):
/// convolutions without bias, batch norm, and one linear layer instead of three. Five stages with
/// four max-poolings between them, then the mean over what is left of the image (GraSP's average
/// pooling has just that size, 2 for CIFAR and 4 for Tiny ImageNet). Input
/// `[batch, channels, height, width]` of at least 16 × 16, output logits `[batch, classes]`.
#[derive(Module, Debug)]
pub struct Vgg {
    stages: Vec<Vec<ConvNorm>>,
    classifier: Linear,
}

impl Vgg {
    /// Logits `[batch, classes]` of images `[batch, channels, height, width]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut hidden = images;
        for (number, stage) in self.stages.iter().enumerate() {
            if number > 0 {
                hidden = max_pool2d(hidden, pooling());
            }
            for layer in stage {
                hidden = layer.forward(hidden);
            }
        }
        self.classifier.forward(parts::global_mean(hidden))
    }

    /// Cross-entropy of images with labels `[batch]`, averaged over the batch, and the logits.
    pub fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>) {
        parts::loss_of(self.forward(images), labels)
    }
}
