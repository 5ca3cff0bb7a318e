//! A text byte by byte on the sparse engine: keys and values of earlier bytes are kept, so that a byte costs what one token does.

use anyhow::{Context, Result};
use burn::tensor::{Device, Int, Tensor};
use zosam::inference::{Input, Output, SparseNetwork};

use super::model::{Gpt, GptConfig, Past};

/// A mask's number for what is not to be seen; behind softmax it is 0.
const HIDDEN: f32 = -1e9;

/// A model that has read the beginning of a text.
pub struct Decoder {
    network: SparseNetwork,
    config: GptConfig,
    /// Keys and values of every layer in turn, `[heads, context, size]`, zero from `read` on.
    past: Vec<Vec<f32>>,
    /// Bytes that the model has read.
    read: usize,
}

impl Decoder {
    /// Compiles a model, whose dead weights are zero, for one byte at a time.
    pub fn new(model: &Gpt, config: &GptConfig) -> Result<Self> {
        let device = &Device::flex();
        let size = config.width / config.heads;
        let shape = [1, config.heads, config.context, size];
        let past = || Past::from([0, 1].map(|_| Tensor::zeros(shape, device)));
        let past: Vec<Past> = (0..config.layers).map(|_| past()).collect();
        let row = || Tensor::<2>::zeros([1, config.context], device);
        let byte = || Tensor::<2, Int>::zeros([1, 1], device);
        let sample = (byte(), byte(), row(), row(), past);
        let network =
            SparseNetwork::compile(model, sample, |model, (byte, place, at, mask, past)| {
                model.next(byte, place, [at, mask], past)
            })?;
        let numbers = config.heads * config.context * size;
        Ok(Self {
            network,
            config: config.clone(),
            past: vec![vec![0.0; numbers]; 2 * config.layers],
            read: 0,
        })
    }

    /// Whether no further byte can be read before [`forget`](Self::forget).
    pub fn is_full(&self) -> bool {
        self.read == self.config.context
    }

    /// Begins a new text.
    pub fn forget(&mut self) {
        self.past.iter_mut().for_each(|numbers| numbers.fill(0.0));
        self.read = 0;
    }

    /// Reads a byte and predicts the next one: logits `[256]`.
    pub fn read(&mut self, byte: u8) -> Result<Vec<f32>> {
        let (context, place) = (self.config.context, self.read);
        let at: Vec<f32> = (0..context)
            .map(|i| f32::from(u8::from(i == place)))
            .collect();
        let mask = (0..context).map(|i| if i > place { HIDDEN } else { 0.0 });
        let mask: Vec<f32> = mask.collect();
        let (byte, number) = ([i32::from(byte)], [place as i32]);
        let mut inputs = vec![
            Input::Int(&byte),
            Input::Int(&number),
            Input::Float(&at),
            Input::Float(&mask),
        ];
        inputs.extend(self.past.iter().map(|numbers| Input::Float(numbers)));
        let mut outputs = self.network.run(&inputs)?.into_iter().map(Output::floats);
        let logits = outputs.next().flatten().context("logits are floats")?;
        let size = self.config.width / self.config.heads;
        for (kept, new) in self.past.iter_mut().zip(outputs) {
            let new = new.context("keys and values are floats")?;
            let heads = kept.chunks_mut(context * size).zip(new.chunks(size));
            heads.for_each(|(kept, new)| kept[place * size..][..size].copy_from_slice(new));
        }
        self.read += 1;
        Ok(logits)
    }
}
