//! The ResNet-32 of the sparse-training literature from burn's own layers: what a burn user has without this crate.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor};

#[derive(Module, Debug)]
struct ConvNorm {
    conv: Conv2d,
    bn: BatchNorm,
}

impl ConvNorm {
    fn new(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Self {
        let padding = kernel / 2;
        let padding = PaddingConfig2d::Explicit(padding, padding, padding, padding);
        let conv = Conv2dConfig::new(channels, [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding(padding)
            .with_bias(false);
        Self {
            conv: conv.init(device),
            bn: BatchNormConfig::new(channels[1]).init(device),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.bn.forward(self.conv.forward(input))
    }
}

#[derive(Module, Debug)]
struct Block {
    first: ConvNorm,
    second: ConvNorm,
    shortcut: Option<ConvNorm>,
}

impl Block {
    fn new(from: usize, to: usize, device: &Device) -> Self {
        let stride = to / from;
        let shortcut = || ConvNorm::new([from, to], 1, stride, device);
        Self {
            first: ConvNorm::new([from, to], 3, stride, device),
            second: ConvNorm::new([to, to], 3, 1, device),
            shortcut: (from != to).then(shortcut),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let hidden = self.second.forward(relu(self.first.forward(input.clone())));
        let around = match &self.shortcut {
            Some(shortcut) => shortcut.forward(input),
            None => input,
        };
        relu(hidden + around)
    }
}

#[derive(Module, Debug)]
pub struct PlainResNet {
    stem: ConvNorm,
    blocks: Vec<Block>,
    head: Linear,
}

impl PlainResNet {
    pub fn new(width: usize, device: &Device) -> Self {
        let stages = [(width, width), (width, 2 * width), (2 * width, 4 * width)];
        let blocks = stages.into_iter().flat_map(|(from, to)| {
            let rest = (1..5).map(move |_| (to, to));
            std::iter::once((from, to)).chain(rest)
        });
        Self {
            stem: ConvNorm::new([3, width], 3, 1, device),
            blocks: blocks
                .map(|(from, to)| Block::new(from, to, device))
                .collect(),
            head: LinearConfig::new(4 * width, 10).init(device),
        }
    }

    pub fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> Tensor<1> {
        let mut hidden = relu(self.stem.forward(images));
        for block in &self.blocks {
            hidden = block.forward(hidden);
        }
        let features = hidden.mean_dim(3).mean_dim(2).flatten(1, 3);
        let logits = self.head.forward(features);
        let loss = CrossEntropyLossConfig::new().init(&logits.device());
        loss.forward(logits, labels)
    }
}
