//! A byte-level GPT, written as a user of burn writes one; layers are `zosam::nn`'s, so that dead weights cost nothing, and what lies
//! between them little.

use burn::module::Module;
use burn::nn::{
    Dropout, DropoutConfig, Embedding, EmbeddingConfig, Initializer, LayerNormConfig, LinearConfig,
};
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};
use zosam::model_file::Configuration;
use zosam::nn::{LayerNorm, Linear, gelu, self_attention};

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

/// Keys and values of one attention for the bytes before, `[1, heads, context, size]` each.
pub type Past = [Tensor<4>; 2];

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
        self.output(tokens)
    }

    fn output(&self, tokens: Tensor<3>) -> Tensor<3> {
        let tokens = self.norm.forward(tokens);
        match &self.head {
            Some(head) => head.forward(tokens),
            None => tokens.matmul(self.embedding.weight.val().transpose().unsqueeze()),
        }
    }

    /// As [`logits`](Self::logits), of one byte `[1, 1]` at a place `[1, 1]` behind others of which keys and values are kept. Besides
    /// its logits `[1, 1, 256]`, its own keys and values, `[1, heads, 1, size]`.
    ///
    /// `at` and `mask` are `[1, context]`: 1 at its place and 0 elsewhere; 0 up to its place, and behind it what a softmax leaves
    /// nothing of.
    pub fn next(
        &self,
        byte: Tensor<2, Int>,
        place: Tensor<2, Int>,
        [at, mask]: [Tensor<2>; 2],
        past: Vec<Past>,
    ) -> (Tensor<3>, Vec<Past>) {
        let mut token = self.embedding.forward(byte) + self.positions.forward(place);
        let mut new = Vec::new();
        for (block, past) in self.blocks.iter().zip(past) {
            let own;
            (token, own) = block.next(token, [at.clone(), mask.clone()], past);
            new.push(own);
        }
        (self.output(token), new)
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
        self.mlp(tokens + self.dropout.forward(branch))
    }

    fn next(&self, token: Tensor<3>, places: [Tensor<2>; 2], past: Past) -> (Tensor<3>, Past) {
        let normed = self.norm1.forward(token.clone());
        let (branch, own) = self.attention.next(normed, places, past);
        (self.mlp(token + branch), own)
    }

    fn mlp(&self, tokens: Tensor<3>) -> Tensor<3> {
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
        self.output
            .forward(self_attention(self.qkv.forward(tokens), self.heads, true))
    }

    /// Queries, which are scaled, keys and values, `[batch, heads, time, size]`.
    fn parts(&self, tokens: Tensor<3>) -> [Tensor<4>; 3] {
        let [batch, time, width] = tokens.dims();
        let size = width / self.heads;
        let all = self.qkv.forward(tokens);
        let [queries, keys, values] = [0, 1, 2].map(|part| {
            let part = all.clone().narrow(2, part * width, width);
            part.reshape([batch, time, self.heads, size])
                .swap_dims(1, 2)
        });
        [queries / (size as f64).sqrt(), keys, values]
    }

    /// Of one token, behind those of which keys and values are kept; its own are zero there.
    fn next(
        &self,
        token: Tensor<3>,
        [at, mask]: [Tensor<2>; 2],
        [keys, values]: Past,
    ) -> (Tensor<3>, Past) {
        let [batch, time, width] = token.dims();
        let [query, key, value] = self.parts(token);
        let [at, mask] = [at, mask].map(|row| row.unsqueeze_dims::<4>(&[1, 1]));
        let own = (query.clone() * key.clone()).sum_dim(3);
        let scores = query.matmul(keys.swap_dims(2, 3)) + at.clone() * own + mask;
        let shares = softmax(scores, 3);
        let own = (shares.clone() * at).sum_dim(3);
        let attended = shares.matmul(values) + own * value.clone();
        let attended = attended.swap_dims(1, 2).reshape([batch, time, width]);
        (self.output.forward(attended), [key, value])
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
    LayerNorm::new(&LayerNormConfig::new(width), device)
}
