//! Small networks of kinds that users have, each of burn's own layers.

use burn::module::{Module, Param};
use burn::nn::attention::{
    MhaInput, MultiHeadAttention, MultiHeadAttentionConfig, generate_autoregressive_mask,
};
use burn::nn::conv::{
    Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig,
};
use burn::nn::pool::{MaxPool1dConfig, MaxPool2dConfig};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{
    self, BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig1d, PaddingConfig2d,
};
use burn::tensor::activation::{gelu, gelu_approximate, mish, relu, sigmoid, silu, softmax, tanh};
use burn::tensor::{Device, Int, Tensor};
use zosam::compile::CompileConfig;
use zosam::inference::{Arithmetic, Input};

use crate::{agrees, apart, floats, tensor, tokens, trained};

pub fn device() -> Device {
    Device::flex()
}

pub fn conv(channels: [usize; 2], kernel: usize, stride: usize, groups: usize) -> Conv2d {
    let padding = kernel / 2;
    Conv2dConfig::new(channels, [kernel, kernel])
        .with_stride([stride, stride])
        .with_groups(groups)
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .init(&device())
}

fn norm(channels: usize) -> BatchNorm {
    BatchNormConfig::new(channels).init(&device())
}

fn linear(inputs: usize, outputs: usize) -> Linear {
    LinearConfig::new(inputs, outputs).init(&device())
}

pub fn mean(x: Tensor<4>) -> Tensor<2> {
    x.mean_dims(&[2, 3]).flatten(1, 3)
}

pub const DENSITIES: [f64; 3] = [1.0, 0.2, 0.0];

/// MobileNetV2's block: expansion, depthwise convolution, projection, ReLU6, and a residual.
#[derive(Module, Debug)]
struct Inverted {
    expand: Conv2d,
    a: BatchNorm,
    depthwise: Conv2d,
    b: BatchNorm,
    project: Conv2d,
    c: BatchNorm,
    fc: Linear,
}

impl Inverted {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let y = self
            .a
            .forward(self.expand.forward(x.clone()))
            .clamp(0.0, 6.0);
        let y = self.b.forward(self.depthwise.forward(y)).clamp(0.0, 6.0);
        let y = self.c.forward(self.project.forward(y)) + x;
        self.fc.forward(mean(y))
    }
}

#[test]
fn inverted_residuals() {
    for density in DENSITIES {
        let model = Inverted {
            expand: conv([8, 24], 1, 1, 1),
            a: norm(24),
            depthwise: conv([24, 24], 3, 1, 24),
            b: norm(24),
            project: conv([24, 8], 1, 1, 1),
            c: norm(8),
            fc: linear(8, 5),
        };
        let model = trained(model, density);
        let network = agrees("MobileNetV2", &model, [1, 8, 9, 11], |m, x| m.forward(x));
        assert_eq!(network.report().left_to_burn().count(), 0);
    }
}

/// EfficientNet's: SiLU, and squeeze and excitation of whole channels.
#[derive(Module, Debug)]
struct Squeezed {
    stem: Conv2d,
    norm: nn::GroupNorm,
    depthwise: Conv2d,
    squeeze: Linear,
    excite: Linear,
    project: Conv2d,
}

impl Squeezed {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = silu(self.norm.forward(self.stem.forward(x)));
        let x = silu(self.depthwise.forward(x));
        let s = silu(self.squeeze.forward(mean(x.clone())));
        let s = sigmoid(self.excite.forward(s)).unsqueeze_dims::<4>(&[2, 3]);
        self.project.forward(x * s)
    }
}

#[test]
fn squeeze_and_excitation() {
    for density in DENSITIES {
        let model = Squeezed {
            stem: conv([3, 12], 3, 2, 1),
            norm: nn::GroupNormConfig::new(3, 12).init(&device()),
            depthwise: conv([12, 12], 5, 1, 12),
            squeeze: linear(12, 4),
            excite: linear(4, 12),
            project: conv([12, 6], 1, 1, 1),
        };
        let model = trained(model, density);
        let network = agrees("EfficientNet", &model, [1, 3, 15, 12], |m, x| m.forward(x));
        assert_eq!(network.report().left_to_burn().count(), 0);
    }
}

/// ConvNeXt's: channels last, layer norm, GELU, a factor for each channel.
#[derive(Module, Debug)]
struct Next {
    patches: Conv2d,
    depthwise: Conv2d,
    norm: nn::LayerNorm,
    up: Linear,
    down: Linear,
    scale: Param<Tensor<1>>,
}

impl Next {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.patches.forward(x);
        let y = self.depthwise.forward(x.clone()).permute([0, 2, 3, 1]);
        let y = self
            .down
            .forward(gelu(self.up.forward(self.norm.forward(y))));
        let y = y * self.scale.val().unsqueeze::<4>();
        x + y.permute([0, 3, 1, 2])
    }
}

#[test]
fn channels_last() {
    for density in DENSITIES {
        let patches = Conv2dConfig::new([3, 16], [4, 4])
            .with_stride([4, 4])
            .init(&device());
        let model = Next {
            patches,
            depthwise: conv([16, 16], 7, 1, 16),
            norm: nn::LayerNormConfig::new(16).init(&device()),
            up: linear(16, 64),
            down: linear(64, 16),
            scale: Param::from_tensor(Tensor::ones([16], &device())),
        };
        let model = trained(model, density);
        let network = agrees("ConvNeXt", &model, [1, 3, 32, 20], |m, x| m.forward(x));
        assert_eq!(network.report().left_to_burn().count(), 0);
    }
}

/// U-Net's: down, up by a transposed convolution, and both beside each other.
#[derive(Module, Debug)]
struct Unet {
    a: Conv2d,
    b: Conv2d,
    up: ConvTranspose2d,
    c: Conv2d,
    norm: nn::InstanceNorm,
}

impl Unet {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let a = relu(self.a.forward(x));
        let pool = MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
        let b = relu(self.norm.forward(self.b.forward(pool.forward(a.clone()))));
        let b = relu(self.up.forward(b));
        self.c.forward(Tensor::cat(vec![a, b], 1))
    }
}

#[test]
fn down_and_up() {
    for density in DENSITIES {
        let up = ConvTranspose2dConfig::new([12, 6], [3, 3]).with_stride([2, 2]);
        let up = up.with_padding([1, 1]).with_padding_out([1, 1]);
        let model = Unet {
            a: conv([3, 6], 3, 1, 1),
            b: conv([6, 12], 3, 1, 1),
            up: up.init(&device()),
            c: conv([12, 2], 3, 1, 1),
            norm: nn::InstanceNormConfig::new(12).init(&device()),
        };
        let model = trained(model, density);
        let network = agrees("U-Net", &model, [1, 3, 16, 24], |m, x| m.forward(x));
        assert_eq!(network.report().left_to_burn().count(), 0);
    }
}

/// DenseNet's concatenation, ResNeXt's groups, ShuffleNet's exchange of channels.
#[derive(Module, Debug)]
struct Grouped {
    a: Conv2d,
    grouped: Conv2d,
    b: Conv2d,
}

impl Grouped {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(self.a.forward(x.clone()));
        let x = Tensor::cat(vec![x, y], 1);
        let x = relu(self.grouped.forward(x));
        let [batch, channels, height, width] = x.dims();
        let x = x
            .reshape([batch, 4, channels / 4, height, width])
            .swap_dims(1, 2);
        let x = x.reshape([batch, channels, height, width]);
        let halves = x.chunk(2, 1);
        let [first, second] = [0, 1].map(|i: usize| halves[i].clone());
        Tensor::cat(vec![self.b.forward(first), second], 1)
    }
}

#[test]
fn groups_of_channels() {
    for density in DENSITIES {
        let model = Grouped {
            a: conv([8, 8], 3, 1, 1),
            grouped: conv([16, 32], 3, 1, 4),
            b: conv([16, 16], 1, 1, 1),
        };
        let model = trained(model, density);
        agrees("groups", &model, [1, 8, 7, 10], |m, x| m.forward(x));
    }
}

/// MLP-Mixer's: linear layers over tokens and over channels in turn.
#[derive(Module, Debug)]
struct Mixer {
    norm: nn::LayerNorm,
    tokens: Linear,
    channels: Linear,
}

impl Mixer {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let y = self.norm.forward(x.clone()).swap_dims(1, 2);
        let x = x + gelu_approximate(self.tokens.forward(y)).swap_dims(1, 2);
        x.clone() + mish(self.channels.forward(self.norm.forward(x)))
    }
}

#[test]
fn mixers() {
    for density in DENSITIES {
        let model = Mixer {
            norm: nn::LayerNormConfig::new(24).init(&device()),
            tokens: linear(18, 18),
            channels: linear(24, 24),
        };
        let model = trained(model, density);
        agrees("Mixer", &model, [1, 18, 24], |m, x| m.forward(x));
    }
}

/// A text by dilated, gated convolutions (WaveNet), pooled.
#[derive(Module, Debug)]
struct Wave {
    embed: nn::Embedding,
    filter: Conv1d,
    gate: Conv1d,
    norm: BatchNorm,
    fc: Linear,
}

impl Wave {
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let x = self.embed.forward(tokens).swap_dims(1, 2);
        let y = tanh(self.filter.forward(x.clone())) * sigmoid(self.gate.forward(x.clone()));
        let y = self.norm.forward(y) + x;
        let y = MaxPool1dConfig::new(3)
            .with_stride(2)
            .with_padding(PaddingConfig1d::Explicit(1, 1))
            .init()
            .forward(y);
        self.fc.forward(y.mean_dim(2).squeeze_dim::<2>(2))
    }
}

#[test]
fn texts_by_convolutions() {
    for density in DENSITIES {
        let conv = || {
            Conv1dConfig::new(16, 16, 3)
                .with_dilation(2)
                .with_padding(PaddingConfig1d::Explicit(4, 0))
                .init(&device())
        };
        let model = Wave {
            embed: nn::EmbeddingConfig::new(30, 16).init(&device()),
            filter: conv(),
            gate: conv(),
            norm: norm(16),
            fc: linear(16, 4),
        };
        texts("WaveNet", &trained(model, density), 19, |m, x| m.forward(x));
    }
}

/// Longer than any image is wide: a filter bank over sound, and a layer at each of its samples.
#[derive(Module, Debug)]
struct Sound {
    bank: Conv1d,
    point: Linear,
    fc: Linear,
}

impl Sound {
    fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let x = relu(self.bank.forward(x));
        let x = relu(self.point.forward(x.swap_dims(1, 2)).swap_dims(1, 2));
        let most: Tensor<2> = MaxPool1dConfig::new(9_001)
            .init()
            .forward(x.clone())
            .mean_dim(2)
            .squeeze_dim(2);
        self.fc
            .forward(Tensor::cat(vec![x.mean_dim(2).squeeze_dim(2), most], 1))
    }
}

#[test]
fn sounds() {
    for density in DENSITIES {
        let bank = Conv1dConfig::new(1, 4, 25)
            .with_padding(PaddingConfig1d::Explicit(12, 12))
            .init(&device());
        let model = Sound {
            bank,
            point: linear(4, 4),
            fc: linear(8, 3),
        };
        agrees("sound", &trained(model, density), [1, 1, 9_007], |m, x| {
            m.forward(x)
        });
    }
}

/// As `agrees`, for texts.
fn texts<M: Module, const O: usize>(
    name: &str,
    model: &M,
    length: usize,
    forward: impl Fn(&M, Tensor<2, Int>) -> Tensor<O>,
) {
    let config = CompileConfig::new().with_tolerance(Some(1e-5));
    let network = config
        .compile(model, tokens([1, length], 30, 3), &forward)
        .unwrap();
    for batch in [1, 4] {
        let x = tokens([batch, length], 30, 5);
        let expected = floats(forward(model, x.clone()));
        let x: Vec<i32> = x.into_data().iter::<i32>().collect();
        let outputs = network.run(&[Input::Int(&x)]).unwrap();
        let found = outputs[0].clone().floats().unwrap();
        assert!(
            apart(&found, &expected) < 1e-5,
            "{name}: {}",
            apart(&found, &expected)
        );
    }
    let error = network.run(&[Input::Int(&vec![30; length])]);
    assert!(error.is_err(), "{name}: an index behind the table");
}

/// A causal transformer (GPT) of burn's, and a recurrent network.
#[derive(Module, Debug)]
struct Causal {
    embed: nn::Embedding,
    encoder: TransformerEncoder,
    gru: nn::gru::Gru,
    lstm: nn::BiLstm,
    fc: Linear,
}

impl Causal {
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let [batch, length] = tokens.dims();
        let x = self.embed.forward(tokens);
        let mask = generate_autoregressive_mask(batch, length, &x.device());
        let x = self
            .encoder
            .forward(TransformerEncoderInput::new(x).mask_attn(mask));
        let x = self.gru.forward(x, None);
        let (x, _) = self.lstm.forward(x, None);
        self.fc.forward(x)
    }
}

#[test]
fn texts_by_attention_and_recurrence() {
    for density in DENSITIES {
        let model = Causal {
            embed: nn::EmbeddingConfig::new(30, 16).init(&device()),
            encoder: TransformerEncoderConfig::new(16, 32, 4, 2).init(&device()),
            gru: nn::gru::GruConfig::new(16, 8, true).init(&device()),
            lstm: nn::BiLstmConfig::new(8, 6, true).init(&device()),
            fc: linear(12, 30),
        };
        texts("GPT", &trained(model, density), 7, |m, x| m.forward(x));
    }
}

/// LLaMA's block: RMS norm, rotary positions, gated SiLU; attention by burn's operation for it.
#[derive(Module, Debug)]
struct Llama {
    norm: nn::RmsNorm,
    qkv: Linear,
    out: Linear,
    rotary: nn::RotaryEncoding,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Llama {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, length, width] = x.dims();
        let qkv = self.qkv.forward(self.norm.forward(x.clone()));
        let parts: Vec<Tensor<3>> = qkv.chunk(3, 2);
        let heads = |part: &Tensor<3>| {
            part.clone()
                .reshape([batch, length, 2, width / 2])
                .swap_dims(1, 2)
        };
        let q = self.rotary.forward(heads(&parts[0]));
        let k = self.rotary.forward(heads(&parts[1]));
        let scores = q.matmul(k.swap_dims(2, 3)) * 0.35;
        let y = softmax(scores, 3).matmul(heads(&parts[2]));
        let y = y.swap_dims(1, 2).reshape([batch, length, width]);
        let x = x + self.out.forward(y);
        let h = self.norm.forward(x.clone());
        x + self
            .down
            .forward(silu(self.gate.forward(h.clone())) * self.up.forward(h))
    }
}

#[test]
fn rotary_attention() {
    for density in DENSITIES {
        let model = Llama {
            norm: nn::RmsNormConfig::new(16).init(&device()),
            qkv: linear(16, 48),
            out: linear(16, 16),
            rotary: nn::RotaryEncodingConfig::new(12, 8).init(&device()),
            gate: linear(16, 40),
            up: linear(16, 40),
            down: linear(40, 16),
        };
        let model = trained(model, density);
        agrees("LLaMA", &model, [1, 9, 16], |m, x| m.forward(x));
    }
}

/// Burn's own attention beside a residual, on few and on many tokens.
#[derive(Module, Debug)]
struct Attending {
    norm: nn::LayerNorm,
    attention: MultiHeadAttention,
}

#[test]
fn attention() {
    for (density, length) in [(1.0, 40), (0.2, 1), (0.2, 13)] {
        let model = Attending {
            norm: nn::LayerNormConfig::new(24).init(&device()),
            attention: MultiHeadAttentionConfig::new(24, 3).init(&device()),
        };
        let model = trained(model, density);
        let network = agrees("attention", &model, [1, length, 24], |m, x| {
            let y = m.norm.forward(x.clone());
            x + m.attention.forward(MhaInput::self_attn(y)).context
        });
        let operations = network.report().operations;
        assert!(
            operations
                .iter()
                .any(|report| report.operation == "Attention")
        );
        assert_eq!(network.report().left_to_burn().count(), 0);
        // The residual is a part of the last projection.
        let last = operations
            .iter()
            .rfind(|report| report.density.is_some())
            .unwrap();
        assert_eq!(last.operation, "Linear + Add");
        assert_eq!(last.path.as_deref(), Some("attention.output.weight"));
    }
}

/// What no step of ours does is burn's: resizing, sorting, sines and cosines, padding by reflection.
#[test]
fn what_is_left_to_burn() {
    let model = trained(conv([3, 4], 3, 1, 1), 0.5);
    let network = agrees("burn", &model, [1, 3, 8, 8], |m, x| {
        let y = m.forward(x.clone().sin() + x.cos()).sort(3);
        m.forward(y.clone().slice([0..y.dims()[0], 1..4]).cumsum(2))
            .exp()
            .log1p()
    });
    let report = network.report();
    let left: Vec<&str> = report.left_to_burn().collect();
    assert_eq!(left, ["Sin", "Cos", "Sort", "CumSum", "Log1p"]);
    let profile = network
        .profile(&[Input::Float(&floats(tensor([2, 3, 8, 8], 1)))], 2)
        .unwrap();
    assert!(
        profile
            .operations
            .iter()
            .any(|report| report.time.is_some())
    );
    let burn = |report: &&zosam::inference::OperationReport| report.arithmetic == Arithmetic::Burn;
    assert_eq!(profile.operations.iter().filter(burn).count(), 5);
    assert!(
        profile
            .to_string()
            .contains("left to burn: 5 (Sin, Cos, Sort, CumSum, Log1p)")
    );
}
