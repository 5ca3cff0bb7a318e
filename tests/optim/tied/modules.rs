//! Modules with a tied weight, and modules that use one weight twice, which have to train alike.

use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use zosam::objective::seeded;
use zosam::tree;

pub const WORDS: usize = 12;
pub const WIDTH: usize = 8;

pub fn device() -> Device {
    Device::flex().autodiff()
}

/// A model, and the same computation with every weight in one place.
pub trait Example: Module {
    fn new() -> Self;
    fn loss(&self, batch: &Batch) -> Tensor<1>;
}

pub struct Batch {
    pub inputs: Tensor<2>,
    pub words: Tensor<2, Int>,
    pub next: Tensor<2, Int>,
}

impl Batch {
    pub fn new(number: u64) -> Self {
        let device = device();
        let normal = Distribution::Normal(0.0, 1.0);
        let words = |shift: i64| {
            let words = (0..20).map(|i| (i * i + shift + number as i64) % WORDS as i64);
            Tensor::from_data(TensorData::new(words.collect(), [5, 4]), &device)
        };
        Self {
            inputs: seeded(&device, number, || {
                Tensor::random([6, WIDTH], normal, &device)
            }),
            words: words(0),
            next: words(3),
        }
    }
}

fn linear() -> Linear {
    let device = device();
    seeded(&device, 3, || {
        let layer = LinearConfig::new(WIDTH, WIDTH).init(&device);
        tree::values(&layer);
        layer
    })
}

/// Two linear layers with one weight.
#[derive(Module, Debug)]
pub struct Pair {
    pub first: Linear,
    pub second: Linear,
}

impl Example for Pair {
    fn new() -> Self {
        let first = linear();
        let second = Linear {
            weight: first.weight.clone(),
            bias: None,
        };
        Self { first, second }
    }

    fn loss(&self, batch: &Batch) -> Tensor<1> {
        let hidden = relu(self.first.forward(batch.inputs.clone()));
        self.second.forward(hidden).powi_scalar(2).mean()
    }
}

/// [`Pair`] with its weight in one place.
#[derive(Module, Debug)]
pub struct Single {
    pub first: Linear,
}

impl Example for Single {
    fn new() -> Self {
        Self { first: linear() }
    }

    fn loss(&self, batch: &Batch) -> Tensor<1> {
        let hidden = relu(self.first.forward(batch.inputs.clone()));
        let second = Linear {
            bias: None,
            ..self.first.clone()
        };
        second.forward(hidden).powi_scalar(2).mean()
    }
}

fn embedding() -> Embedding {
    let device = device();
    seeded(&device, 4, || {
        let layer = EmbeddingConfig::new(WORDS, WIDTH).init(&device);
        tree::values(&layer);
        layer
    })
}

/// `x Wᵀ`, with the weight of an embedding.
#[derive(Module, Debug)]
pub struct Projection {
    pub weight: Param<Tensor<2>>,
}

fn next_words(embedding: &Embedding, weight: Tensor<2>, batch: &Batch) -> Tensor<1> {
    let [sentences, length] = batch.words.dims();
    let hidden = embedding.forward(batch.words.clone());
    let logits = hidden.matmul(weight.transpose().unsqueeze());
    let logits = log_softmax(logits, 2).reshape([sentences * length, WORDS]);
    let picked = logits.gather(1, batch.next.clone().reshape([sentences * length, 1]));
    picked.neg().mean()
}

/// An embedding whose weight is the output's, as in language models.
#[derive(Module, Debug)]
pub struct Language {
    pub embedding: Embedding,
    pub output: Projection,
}

impl Example for Language {
    fn new() -> Self {
        let embedding = embedding();
        let weight = embedding.weight.clone();
        Self {
            embedding,
            output: Projection { weight },
        }
    }

    fn loss(&self, batch: &Batch) -> Tensor<1> {
        next_words(&self.embedding, self.output.weight.val(), batch)
    }
}

/// [`Language`] with its weight in one place.
#[derive(Module, Debug)]
pub struct Words {
    pub embedding: Embedding,
}

impl Example for Words {
    fn new() -> Self {
        Self {
            embedding: embedding(),
        }
    }

    fn loss(&self, batch: &Batch) -> Tensor<1> {
        next_words(&self.embedding, self.embedding.weight.val(), batch)
    }
}

/// The bits of a weight.
pub fn bits<const D: usize>(weight: &Param<Tensor<D>>) -> Vec<u32> {
    let data = weight.val().into_data();
    data.iter::<f32>().map(f32::to_bits).collect()
}
