//! A byte-level GPT, written as a user of burn writes one; its linear layers are `zosam::nn`'s, so that dead weights cost nothing.

use burn::module::Module;
use burn::nn::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig,
    LinearConfig,
};
use burn::tensor::activation::{gelu, log_softmax, softmax};
use burn::tensor::{Bool, Device, Int, Tensor};
use serde::{Deserialize, Serialize};
use zosam::model_file::Configuration;
use zosam::nn::Linear;

/// A token is a byte.
pub const VOCABULARY: usize = 256;
/// Standard deviation of first weights, as GPT-2's.
const DEVIATION: f64 = 0.02;

/// What a file says of its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GptConfig {
    /// Number of blocks.
    pub layers: usize,
    /// Width of the tokens.
    pub width: usize,
    /// Heads of each attention.
    pub heads: usize,
    /// Bytes that a prediction can look back on.
    pub context: usize,
    /// Whether the embedding's weight is the output's, too.
    pub tied: bool,
    /// Chance by which a number of a branch is left out while training.
    pub dropout: f64,
}

impl Configuration for GptConfig {
    const FAMILY: &'static str = "language-model";
    type Model = Gpt;

    fn init(&self, device: &Device) -> zosam::Result<Gpt> {
        self.validate()?;
        let table = |rows| {
            EmbeddingConfig::new(rows, self.width)
                .with_initializer(normal(DEVIATION))
                .init(device)
        };
        Ok(Gpt {
            embedding: table(VOCABULARY),
            positions: table(self.context),
            dropout: DropoutConfig::new(self.dropout).init(),
            blocks: (0..self.layers).map(|_| Block::new(self, device)).collect(),
            norm: norm(self.width, device),
            head: (!self.tied).then(|| {
                let config = LinearConfig::new(self.width, VOCABULARY).with_bias(false);
                Linear::new(&config.with_initializer(normal(DEVIATION)), device)
            }),
        })
    }
}

impl GptConfig {
    fn validate(&self) -> zosam::Result<()> {
        let sizes = [
            ("layers", self.layers),
            ("width", self.width),
            ("heads", self.heads),
            ("context", self.context),
        ];
        let invalid = |field, value: String, valid| {
            Err(zosam::Error::Config {
                field,
                value,
                valid,
            })
        };
        if let Some((field, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return invalid(field, "0".to_string(), "at least 1");
        }
        if !self.width.is_multiple_of(self.heads) {
            return invalid("width", self.width.to_string(), "a multiple of the heads");
        }
        match (0.0..1.0).contains(&self.dropout) {
            true => Ok(()),
            false => invalid(
                "dropout",
                self.dropout.to_string(),
                "at least 0 and less than 1",
            ),
        }
    }
}

/// Predicts the next byte of every beginning of a text.
#[derive(Module, Debug)]
pub struct Gpt {
    embedding: Embedding,
    positions: Embedding,
    dropout: Dropout,
    blocks: Vec<Block>,
    norm: LayerNorm,
    /// None if the embedding is the output, too.
    head: Option<Linear>,
}

impl Gpt {
    /// Bytes `[batch, time]` to logits of what comes next, `[batch, time, 256]`.
    pub fn logits(&self, bytes: Tensor<2, Int>) -> Tensor<3> {
        let [_, time] = bytes.dims();
        let positions = self.positions.weight.val().narrow(0, 0, time);
        let tokens = self.embedding.forward(bytes) + positions.unsqueeze();
        let tokens = self.dropout.forward(tokens);
        let tokens = self
            .blocks
            .iter()
            .fold(tokens, |tokens, block| block.forward(tokens));
        let tokens = self.norm.forward(tokens);
        match &self.head {
            Some(head) => head.forward(tokens),
            None => tokens.matmul(self.embedding.weight.val().transpose().unsqueeze()),
        }
    }

    /// The cross-entropy of each window, in nats per byte, `[batch]`; a window `[time + 1]` holds `time` beginnings and their next bytes.
    pub fn losses(&self, windows: Tensor<2, Int>) -> Tensor<1> {
        let [_, length] = windows.dims();
        let bytes = windows.clone().narrow(1, 0, length - 1);
        let next = windows.narrow(1, 1, length - 1);
        let log = log_softmax(self.logits(bytes), 2);
        let picked = log.gather(2, next.unsqueeze_dim(2));
        picked.neg().flatten::<2>(1, 2).mean_dim(1).flatten(0, 1)
    }
}

/// `x + attention(norm(x))`, then `x + mlp(norm(x))`.
#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    up: Linear,
    down: Linear,
    dropout: Dropout,
}

impl Block {
    fn new(config: &GptConfig, device: &Device) -> Self {
        let width = config.width;
        Self {
            norm1: norm(width, device),
            attention: Attention::new(config, device),
            norm2: norm(width, device),
            up: linear([width, 4 * width], DEVIATION, device),
            down: linear([4 * width, width], of_branch(config), device),
            dropout: DropoutConfig::new(config.dropout).init(),
        }
    }

    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let branch = self.attention.forward(self.norm1.forward(tokens.clone()));
        let tokens = tokens + self.dropout.forward(branch);
        let hidden = gelu(self.up.forward(self.norm2.forward(tokens.clone())));
        tokens + self.dropout.forward(self.down.forward(hidden))
    }
}

/// Attention of each token to itself and to those before.
#[derive(Module, Debug)]
struct Attention {
    qkv: Linear,
    output: Linear,
    heads: usize,
}

impl Attention {
    fn new(config: &GptConfig, device: &Device) -> Self {
        let width = config.width;
        Self {
            qkv: linear([width, 3 * width], DEVIATION, device),
            output: linear([width, width], of_branch(config), device),
            heads: config.heads,
        }
    }

    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let [batch, time, width] = tokens.dims();
        let size = width / self.heads;
        let all = self.qkv.forward(tokens);
        let [queries, keys, values] = [0, 1, 2].map(|part| {
            let part = all.clone().narrow(2, part * width, width);
            part.reshape([batch, time, self.heads, size])
                .swap_dims(1, 2)
        });
        let scores = (queries / (size as f64).sqrt()).matmul(keys.swap_dims(2, 3));
        // True above the diagonal: what comes later.
        let later = Tensor::<2, Bool>::tril_mask([time, time], 0, &scores.device());
        let scores = scores.mask_fill(later.unsqueeze::<4>(), f32::NEG_INFINITY);
        let attended = softmax(scores, 3).matmul(values);
        self.output
            .forward(attended.swap_dims(1, 2).reshape([batch, time, width]))
    }
}

fn normal(deviation: f64) -> Initializer {
    Initializer::Normal {
        mean: 0.0,
        std: deviation,
    }
}

/// What ends a branch begins smaller, the smaller the more branches are added up: as GPT-2's.
fn of_branch(config: &GptConfig) -> f64 {
    DEVIATION / (2.0 * config.layers as f64).sqrt()
}

fn linear([inputs, outputs]: [usize; 2], deviation: f64, device: &Device) -> Linear {
    let config = LinearConfig::new(inputs, outputs).with_initializer(normal(deviation));
    let mut linear = Linear::new(&config, device);
    linear.bias = Some(Initializer::Zeros.init([outputs], device));
    linear
}

fn norm(width: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(width).init(device)
}
