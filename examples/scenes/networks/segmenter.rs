//! The network that says what each pixel is.

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};
use zosam::nn::Conv2d;

use super::CLASSES;
use super::unet::Unet;

/// A U-Net whose last layer tells classes.
#[derive(Module, Debug)]
pub struct Segmenter {
    unet: Unet,
    output: Conv2d,
}

impl Segmenter {
    /// `width` channels at the highest of `levels` levels.
    pub fn new(width: usize, levels: usize, device: &Device) -> Self {
        Self {
            unet: Unet::new(width, levels, levels - 1, device),
            output: Conv2d::new(&Conv2dConfig::new([width, CLASSES + 1], [1, 1]), device),
        }
    }

    /// `[batch, 1, height, width]` to `[batch, 11, height, width]`; the first of the classes is the background.
    pub fn logits(&self, images: Tensor<4>) -> Tensor<4> {
        self.output.forward(self.unet.forward(images))
    }

    /// The mean cross-entropy of each scene's pixels, `[batch]`; masks are `[batch, height, width]`.
    pub fn losses(&self, images: Tensor<4>, masks: Tensor<3, Int>) -> Tensor<1> {
        Self::losses_of(self.logits(images), masks)
    }

    /// The losses of logits.
    pub fn losses_of(logits: Tensor<4>, masks: Tensor<3, Int>) -> Tensor<1> {
        let picked = log_softmax(logits, 1).gather(1, masks.unsqueeze_dim(1));
        let losses: Tensor<2> = picked.neg().flatten(1, 3);
        losses.mean_dim(1).flatten(0, 1)
    }
}
