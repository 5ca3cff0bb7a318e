//! Pictures and questions about them ("is it a shirt or a bag?"), and a network that answers.

use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{
    Embedding, EmbeddingConfig, GroupNorm, GroupNormConfig, LayerNorm, LayerNormConfig, Linear,
    LinearConfig, Lstm, LstmConfig, PaddingConfig2d,
};
use burn::tensor::activation::{gelu, silu};
use burn::tensor::{Device, Int, Tensor, TensorData};
use zosam::data::Batch;

/// Words: ten things, "a" and "or".
const WORDS: usize = 12;
/// "a shirt or a bag"
const LENGTH: usize = 5;
const WIDTH: usize = 64;

/// Pictures, a question for each, and the answers.
pub struct Asked {
    pub images: Tensor<4>,
    pub texts: Tensor<2, Int>,
    pub answers: Tensor<1, Int>,
}

impl Asked {
    pub fn new(batch: &Batch, device: &Device) -> Self {
        let (images, answers) = batch.to_tensors(device);
        let texts = TensorData::new(questions(batch).concat(), [batch.labels.len(), LENGTH]);
        Self {
            images,
            texts: Tensor::from_data(texts, device),
            answers,
        }
    }

    /// Blank pictures and some question, for their shapes.
    pub fn blank(count: usize) -> (Tensor<4>, Tensor<2, Int>) {
        let device = Device::flex();
        let images = Tensor::zeros([count, 1, 28, 28], &device);
        (images, Tensor::ones([count, LENGTH], &device))
    }

    /// The same as numbers.
    pub fn blank_numbers(count: usize) -> (Vec<f32>, Vec<i32>) {
        let (images, texts) = Self::blank(count);
        let (images, texts) = (images.into_data(), texts.into_data());
        (images.iter().collect(), texts.iter().collect())
    }
}

/// A question for each picture, the same in every epoch: what it shows, and something else, in either order.
fn questions(batch: &Batch) -> Vec<[i32; LENGTH]> {
    let pairs = batch.labels.iter().zip(&batch.indices);
    let question = |(&label, &index): (&i64, &usize)| {
        let draw = (index.wrapping_mul(2_654_435_761) >> 8) % 18;
        let (label, other) = (label as i32, (label as i32 + 1 + draw as i32 % 9) % 10);
        let [one, two] = if draw < 9 {
            [label, other]
        } else {
            [other, label]
        };
        [10, one, 11, 10, two]
    };
    pairs.map(question).collect()
}

/// Convolutions see the picture, an LSTM reads the question, attention brings them together.
#[derive(Module, Debug)]
pub struct Asker {
    stem: Conv2d,
    stem_norm: GroupNorm,
    depthwise: Conv2d,
    down: Conv2d,
    down_norm: GroupNorm,
    up: ConvTranspose2d,
    patches: Conv2d,
    words: Embedding,
    reader: Lstm,
    norm: LayerNorm,
    attention: MultiHeadAttention,
    hidden: Linear,
    answer: Linear,
}

impl Asker {
    pub fn new(device: &Device) -> Self {
        let conv = |channels, kernel: usize, stride| {
            let config =
                Conv2dConfig::new(channels, [kernel, kernel]).with_stride([stride, stride]);
            let around = (kernel - 1) / 2;
            config.with_padding(PaddingConfig2d::Explicit(around, around, around, around))
        };
        Self {
            stem: conv([1, 32], 3, 2).init(device),
            stem_norm: GroupNormConfig::new(8, 32).init(device),
            depthwise: conv([32, 32], 5, 1).with_groups(32).init(device),
            down: conv([32, WIDTH], 3, 2).init(device),
            down_norm: GroupNormConfig::new(8, WIDTH).init(device),
            up: ConvTranspose2dConfig::new([WIDTH, 32], [2, 2])
                .with_stride([2, 2])
                .init(device),
            patches: Conv2dConfig::new([64, WIDTH], [2, 2])
                .with_stride([2, 2])
                .init(device),
            words: EmbeddingConfig::new(WORDS, WIDTH).init(device),
            reader: LstmConfig::new(WIDTH, WIDTH, true).init(device),
            norm: LayerNormConfig::new(WIDTH).init(device),
            attention: MultiHeadAttentionConfig::new(WIDTH, 4).init(device),
            hidden: LinearConfig::new(WIDTH, 2 * WIDTH).init(device),
            answer: LinearConfig::new(2 * WIDTH, 10).init(device),
        }
    }

    /// Scores `[images, things]` of pictures `[images, 1, 28, 28]` and questions `[images, words]`.
    pub fn forward(&self, images: Tensor<4>, texts: Tensor<2, Int>) -> Tensor<2> {
        let x = silu(self.stem_norm.forward(self.stem.forward(images)));
        let x = x.clone() + self.depthwise.forward(x);
        let deep = silu(self.down_norm.forward(self.down.forward(x.clone())));
        let fine = Tensor::cat(vec![silu(self.up.forward(deep)), x], 1);
        let seen = self
            .patches
            .forward(fine)
            .flatten::<3>(2, 3)
            .swap_dims(1, 2);
        let (read, _) = self.reader.forward(self.words.forward(texts), None);
        let tokens = Tensor::cat(vec![read, seen], 1);
        let together = MhaInput::self_attn(self.norm.forward(tokens.clone()));
        let tokens = tokens + self.attention.forward(together).context;
        let pooled = tokens.mean_dim(1).squeeze_dim::<2>(1);
        self.answer.forward(gelu(self.hidden.forward(pooled)))
    }

    /// Cross-entropy.
    pub fn loss(&self, asked: &Asked) -> Tensor<1> {
        let scores = self.forward(asked.images.clone(), asked.texts.clone());
        let loss = CrossEntropyLossConfig::new().init(&scores.device());
        loss.forward(scores, asked.answers.clone())
    }
}
