//! Modules that are not ours.

use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::conv::{Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::interpolate::{Interpolate2d, Interpolate2dConfig};
use burn::nn::pool::{
    AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, AvgPool2d, AvgPool2dConfig, MaxPool2d,
    MaxPool2dConfig,
};
use burn::nn::{self, PaddingConfig2d};
use burn::tensor::activation::{gelu, relu, silu, softmax};
use burn::tensor::{Device, Int, Tensor};
use zosam::compile::CompileConfig;
use zosam::inference::Input;
use zosam::nn as ours;

use crate::{agrees, apart, floats, tensor, tokens, trained};

/// All kinds of layers, an image and a text.
#[derive(Module, Debug)]
struct Mixed {
    stem: Conv2d,
    group: nn::GroupNorm,
    depthwise: Conv2d,
    batch: nn::BatchNorm,
    hard: nn::activation::HardSwish,
    grouped: Conv2d,
    up: ConvTranspose2d,
    max: MaxPool2d,
    average: AvgPool2d,
    adaptive: AdaptiveAvgPool2d,
    resize: Interpolate2d,
    embed: nn::Embedding,
    norm: nn::LayerNorm,
    attention: MultiHeadAttention,
    lstm: nn::Lstm,
    drop: nn::Dropout,
    fc: nn::Linear,
}

impl Mixed {
    fn new(device: &Device) -> Self {
        let same = PaddingConfig2d::Same;
        Self {
            stem: Conv2dConfig::new([3, 8], [3, 3])
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device),
            group: nn::GroupNormConfig::new(2, 8).init(device),
            depthwise: Conv2dConfig::new([8, 8], [3, 3])
                .with_groups(8)
                .with_padding(same.clone())
                .with_bias(false)
                .init(device),
            batch: nn::BatchNormConfig::new(8).init(device),
            hard: nn::activation::HardSwish::new(),
            grouped: Conv2dConfig::new([8, 16], [3, 3])
                .with_groups(2)
                .with_padding(same)
                .init(device),
            up: ConvTranspose2dConfig::new([16, 8], [2, 2])
                .with_stride([2, 2])
                .init(device),
            max: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            average: AvgPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            adaptive: AdaptiveAvgPool2dConfig::new([2, 2]).init(),
            resize: Interpolate2dConfig::new()
                .with_output_size(Some([8, 8]))
                .init(),
            embed: nn::EmbeddingConfig::new(20, 32).init(device),
            norm: nn::LayerNormConfig::new(32).init(device),
            attention: MultiHeadAttentionConfig::new(32, 4).init(device),
            lstm: nn::LstmConfig::new(32, 16, true).init(device),
            drop: nn::DropoutConfig::new(0.3).init(),
            fc: nn::LinearConfig::new(48, 5).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>, tokens: Tensor<2, Int>) -> (Tensor<2>, Tensor<3>) {
        let x = silu(self.group.forward(self.stem.forward(x)));
        let x = x.clone()
            + self
                .hard
                .forward(self.batch.forward(self.depthwise.forward(x)));
        let x = relu(self.grouped.forward(x));
        let x = self.max.forward(self.up.forward(x));
        let x = self.resize.forward(self.average.forward(x));
        let x = self.adaptive.forward(x).flatten::<2>(1, 3);
        let t = self.norm.forward(self.embed.forward(tokens));
        let t = t.clone() + self.attention.forward(MhaInput::self_attn(t)).context;
        let (t, _) = self.lstm.forward(t, None);
        let [batch, count, width] = t.dims();
        let last = t.clone().slice([0..batch, count - 1..count, 0..width]);
        let all = Tensor::cat(vec![x, last.squeeze_dim::<2>(1)], 1);
        (softmax(self.fc.forward(gelu(self.drop.forward(all))), 1), t)
    }
}

/// Two inputs, one of whole numbers, and two outputs.
#[test]
fn images_and_texts() {
    for density in [1.0, 0.3] {
        let model = trained(Mixed::new(&Device::flex()), density);
        let sample = (tensor([2, 3, 32, 32], 3), tokens([2, 6], 20, 3));
        let config = CompileConfig::new().with_tolerance(Some(1e-5));
        let network = config
            .compile(&model, sample, |m: &Mixed, (x, t)| m.forward(x, t))
            .unwrap();
        for batch in [1, 4] {
            let (x, t) = (tensor([batch, 3, 32, 32], 9), tokens([batch, 6], 20, 11));
            let (first, second) = model.forward(x.clone(), t.clone());
            let t: Vec<i32> = t.into_data().iter::<i32>().collect();
            let outputs = network
                .run(&[Input::Float(&floats(x)), Input::Int(&t)])
                .unwrap();
            let outputs: Vec<Vec<f32>> = outputs.into_iter().filter_map(|o| o.floats()).collect();
            assert!(
                apart(&outputs[0], &floats(first)) < 1e-5,
                "{density} {batch}"
            );
            assert!(
                apart(&outputs[1], &floats(second)) < 1e-5,
                "{density} {batch}"
            );
        }
    }
}

/// Layers of ours that no other test of this program has.
#[derive(Module, Debug)]
struct Ours {
    up: ours::ConvTranspose2d,
    row: ours::Conv1d,
    attention: ours::MultiHeadAttention,
}

impl Ours {
    fn new(device: &Device) -> Self {
        let up = ConvTranspose2dConfig::new([3, 8], [2, 2]).with_stride([2, 2]);
        let row = Conv1dConfig::new(8, 16, 3).with_stride(2);
        Self {
            up: ours::ConvTranspose2d::new(&up, device),
            row: ours::Conv1d::new(&row, device),
            attention: ours::MultiHeadAttention::new(&MultiHeadAttentionConfig::new(16, 4), device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<3> {
        let row = self.up.forward(x).flatten::<3>(2, 3);
        let tokens = relu(self.row.forward(row)).swap_dims(1, 2);
        self.attention
            .forward(ours::MhaInput::self_attn(tokens))
            .context
    }
}

/// What is recorded of them are burn's operations, all of which the engine has.
#[test]
fn layers_of_ours() {
    for density in [1.0, 0.3] {
        let model = trained(Ours::new(&Device::flex()), density);
        let network = agrees("ours", &model, [2, 3, 6, 6], Ours::forward);
        let left: Vec<_> = network.report().left_to_burn().map(String::from).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
