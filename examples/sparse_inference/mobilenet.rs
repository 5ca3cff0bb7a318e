//! A network like MobileNetV2 (Sandler et al., 2018), of width 1: not one of this crate's, made of burn's layers.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

/// Expansion, channels, blocks and stride of the first block, as in table 2 of the paper.
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

/// Blocks that widen, convolve each channel for itself, and narrow.
#[derive(Module, Debug)]
pub struct MobileNet {
    first: Unit,
    blocks: Vec<Block>,
    last: Unit,
    linear: Linear,
}

impl MobileNet {
    pub fn new(classes: usize, device: &Device) -> Self {
        let mut blocks = Vec::new();
        let mut channels = 32;
        for [expansion, to, count, stride] in STAGES {
            for index in 0..count {
                let stride = if index == 0 { stride } else { 1 };
                blocks.push(Block::new([channels, to], expansion, stride, device));
                channels = to;
            }
        }
        Self {
            first: Unit::new([3, 32], 3, 2, 1, device),
            blocks,
            last: Unit::new([channels, 1280], 1, 1, 1, device),
            linear: LinearConfig::new(1280, classes).init(device),
        }
    }

    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = self.first.clipped(images);
        for block in &self.blocks {
            x = block.forward(x);
        }
        let means: Tensor<4> = self.last.clipped(x).mean_dim(2).mean_dim(3);
        self.linear.forward(means.flatten(1, 3))
    }
}

/// `x + narrow(relu6(depthwise(relu6(widen(x)))))`, `x` where shapes are the same.
#[derive(Module, Debug)]
struct Block {
    widen: Option<Unit>,
    depthwise: Unit,
    narrow: Unit,
}

impl Block {
    fn new([from, to]: [usize; 2], expansion: usize, stride: usize, device: &Device) -> Self {
        let wide = from * expansion;
        Self {
            widen: (expansion > 1).then(|| Unit::new([from, wide], 1, 1, 1, device)),
            depthwise: Unit::new([wide, wide], 3, stride, wide, device),
            narrow: Unit::new([wide, to], 1, 1, 1, device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let wide = match &self.widen {
            Some(widen) => widen.clipped(x.clone()),
            None => x.clone(),
        };
        let narrow = self.narrow.forward(self.depthwise.clipped(wide));
        match narrow.dims() == x.dims() {
            true => narrow + x,
            false => narrow,
        }
    }
}

/// Convolution and batch norm.
#[derive(Module, Debug)]
struct Unit {
    conv: Conv2d,
    norm: BatchNorm,
}

impl Unit {
    fn new(channels: [usize; 2], side: usize, stride: usize, groups: usize, on: &Device) -> Self {
        let edge = side / 2;
        let conv = Conv2dConfig::new(channels, [side, side])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(edge, edge, edge, edge))
            .with_groups(groups)
            .with_bias(false);
        Self {
            conv: conv.init(on),
            norm: BatchNormConfig::new(channels[1]).init(on),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }

    /// With ReLU6.
    fn clipped(&self, x: Tensor<4>) -> Tensor<4> {
        self.forward(x).clamp(0.0, 6.0)
    }
}
