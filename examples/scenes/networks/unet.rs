//! A U-Net without its last layer.

use burn::module::Module;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{
    BatchNormConfig, PaddingConfig2d,
    conv::{Conv2dConfig, ConvTranspose2dConfig},
};
use burn::tensor::{Device, Tensor};
use zosam::nn::{BatchNorm, Conv2d, ConvTranspose2d};

/// Features of every scale, those of the coarser scales brought to the finer ones.
///
/// Ronneberger, Fischer and Brox, "U-Net", MICCAI 2015 (arXiv 1505.04597): on the way down two convolutions and a maximum of 2 × 2 at each level, which has
/// twice the channels of the one before; on the way up a transposed convolution of 2 × 2, which halves them, what was there on the way down
/// beside it, and two convolutions. Unlike the paper's, convolutions are padded and have batch norm.
#[derive(Module, Debug)]
pub struct Unet {
    down: Vec<Block>,
    pool: MaxPool2d,
    up: Vec<ConvTranspose2d>,
    joined: Vec<Block>,
}

impl Unet {
    /// Of grey pictures whose sides are multiples of `2^(levels − 1)`; it ends `ups` levels above the lowest.
    pub fn new(width: usize, levels: usize, ups: usize, device: &Device) -> Self {
        let channels = |level: usize| width << level;
        let down = |level: usize| {
            let inputs = level.checked_sub(1).map_or(1, channels);
            Block::new(inputs, channels(level), device)
        };
        let upper = || (0..levels - 1).rev().take(ups);
        let up = |level: usize| {
            let config = ConvTranspose2dConfig::new([channels(level + 1), channels(level)], [2, 2]);
            ConvTranspose2d::new(&config.with_stride([2, 2]), device)
        };
        Self {
            down: (0..levels).map(down).collect(),
            pool: MaxPool2dConfig::new([2, 2]).init(),
            up: upper().map(up).collect(),
            joined: upper()
                .map(|level| Block::new(2 * channels(level), channels(level), device))
                .collect(),
        }
    }

    /// `[batch, 1, height, width]` to `[batch, channels, height / stride, width / stride]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let mut levels: Vec<Tensor<4>> = Vec::new();
        for block in &self.down {
            let input = match levels.last() {
                Some(above) => self.pool.forward(above.clone()),
                None => images.clone(),
            };
            levels.push(block.forward(input));
        }
        let lowest = levels.pop().expect("there is a level");
        let steps = self.up.iter().zip(&self.joined);
        steps
            .zip(levels.into_iter().rev())
            .fold(lowest, |below, ((up, block), beside)| {
                block.forward(Tensor::cat(vec![beside, up.forward(below)], 1))
            })
    }
}

/// Twice a convolution of 3 × 3, batch norm and ReLU.
#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
}

impl Block {
    fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        let conv = |inputs| {
            let config = Conv2dConfig::new([inputs, outputs], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_bias(false);
            Conv2d::new(&config, device)
        };
        let norm = || BatchNorm::new(&BatchNormConfig::new(outputs), device);
        Self {
            conv1: conv(inputs),
            norm1: norm(),
            conv2: conv(outputs),
            norm2: norm(),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let hidden = self.norm1.forward_relu(self.conv1.forward(input));
        self.norm2.forward_relu(self.conv2.forward(hidden))
    }
}
