//! What transformers have besides linear layers: tokens, attention, GELU.
//!
//! Tokens lie as the positions of an image, `[width, tokens]`: linear layers are 1×1 convolutions then, and nothing is
//! transposed.

use rayon::prelude::*;

use super::layer::Layer;
use crate::error::Result;
use crate::kernels::activation::gelu;
use crate::kernels::dense::{Matrix, product};
use crate::kernels::softmax::softmax;

/// Numbers of a task of GELU.
const TOGETHER: usize = 1 << 14;

/// Puts the special tokens before those of the patches and adds the embedding of positions.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    /// The special ones with their positions, `[width, special]`.
    pub special: Vec<f32>,
    /// Positions of the patches, `[width, patches]`.
    pub positions: Vec<f32>,
    pub width: usize,
}

impl Layer for Tokens {
    fn sizes(&self) -> [usize; 2] {
        [
            self.positions.len(),
            self.special.len() + self.positions.len(),
        ]
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let special = self.special.len() / self.width;
        let patches = self.positions.len() / self.width;
        let channels = self.special.chunks_exact(special).cycle();
        let channels = channels.zip(self.positions.chunks_exact(patches).cycle());
        let input = input.chunks_exact(patches);
        let output = output.chunks_exact_mut(special + patches);
        for ((input, output), (before, positions)) in input.zip(output).zip(channels) {
            output[..special].copy_from_slice(before);
            for (at, to) in output[special..].iter_mut().enumerate() {
                *to = input[at] + positions[at];
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.special[..]) + size_of_val(&self.positions[..])
    }
}

/// The first tokens alone.
#[derive(Debug, Clone)]
pub(crate) struct FirstTokens {
    pub width: usize,
    pub tokens: usize,
    pub kept: usize,
}

impl Layer for FirstTokens {
    fn sizes(&self) -> [usize; 2] {
        [self.tokens, self.kept].map(|tokens| self.width * tokens)
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let output = output.chunks_exact_mut(self.kept);
        for (input, output) in input.chunks_exact(self.tokens).zip(output) {
            output.copy_from_slice(&input[..self.kept]);
        }
        Ok(())
    }
}

/// `V softmax(Kᵀ Q / √d)` of each head: `[3 · width, tokens]`, queries first, to `[width, tokens]`.
#[derive(Debug, Clone)]
pub(crate) struct Attention {
    pub width: usize,
    pub heads: usize,
    pub tokens: usize,
}

impl Layer for Attention {
    fn sizes(&self) -> [usize; 2] {
        [3, 1].map(|parts| parts * self.width * self.tokens)
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let head = self.width / self.heads * self.tokens;
        let outputs = output.par_chunks_exact_mut(head).enumerate();
        outputs.try_for_each(|(index, output)| {
            let (image, number) = (index / self.heads, index % self.heads);
            let image = &input[image * self.sizes()[0]..];
            let part = |part: usize| {
                let start = (part * self.heads + number) * head;
                let size = [self.width / self.heads, self.tokens];
                Matrix::rows(&image[start..start + head], size)
            };
            let [queries, keys, values] = [0, 1, 2].map(part);
            let scale = (queries.size[0] as f32).sqrt().recip();
            // A row per key, so that softmax goes down the columns and the last product needs no transpose.
            let mut weights = vec![0.0; self.tokens * self.tokens];
            product(keys.transposed(), queries, scale, &mut weights)?;
            softmax(&mut weights, [self.tokens; 2], false);
            let weights = Matrix::rows(&weights, [self.tokens; 2]);
            product(values, weights, 1.0, output)
        })
    }
}

/// The exact GELU.
#[derive(Debug, Clone)]
pub(crate) struct Gelu {
    /// Numbers in an image.
    pub size: usize,
}

impl Layer for Gelu {
    fn sizes(&self) -> [usize; 2] {
        [self.size; 2]
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let parts = input
            .par_chunks(TOGETHER)
            .zip(output.par_chunks_mut(TOGETHER));
        parts.for_each(|(input, output)| gelu(input, output));
        Ok(())
    }
}
