//! Self-attention of a training step, and its gradient.
//!
//! Both go over blocks of queries, so that attention weights stay in the cache. None is kept: the
//! gradient makes them again, which takes one product more and saves memory that grows with the square of the
//! tokens.

use std::ops::Range;

use rayon::prelude::*;

use super::dense::{Matrix, product, product_onto};
use super::scratch::fewest;
use super::shape::length;
use super::simd::{Instructions, Job, Simd};
use super::softmax::along;
use crate::error::Result;

/// Queries of a block.
const BLOCK: usize = 64;

/// `softmax(Q Kᵀ / √d) V` of each head of width `d`, where queries, keys and values of a token lie
/// side by side, each with all heads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SelfAttention {
    pub(crate) tokens: usize,
    pub(crate) heads: usize,
    /// The width `d` of a head.
    pub(crate) size: usize,
    /// Whether a token attends only to itself and to those before.
    pub(crate) causal: bool,
}

impl SelfAttention {
    /// `[batch, tokens, 3 · heads · d]` to `[batch, tokens, heads · d]`.
    ///
    /// # Errors
    /// Slices that are not whole texts, or of two batches.
    pub(crate) fn forward(&self, from: &[f32], to: &mut [f32]) -> Result<()> {
        self.check(from, to)?;
        let texts = to
            .par_chunks_mut(self.text())
            .zip(from.par_chunks(3 * self.text()));
        let texts = texts.with_min_len(fewest(2 * self.work()));
        texts.try_for_each(|(to, from)| {
            let mut memory = vec![0.0; BLOCK * (self.tokens + self.size)];
            let (weights, context) = memory.split_at_mut(BLOCK * self.tokens);
            for head in 0..self.heads {
                for queries in self.blocks() {
                    let weights = self.weights(from, head, queries.clone(), weights)?;
                    let context = &mut context[..queries.len() * self.size];
                    let values = self.part(from, Part::Values, head, self.seen(&queries));
                    product(weights, values, 1.0, context)?;
                    self.put(
                        context,
                        to,
                        head * self.size,
                        self.heads * self.size,
                        queries,
                    );
                }
            }
            Ok(())
        })
    }

    /// The gradient of the input, by that of the output.
    ///
    /// With weights `P` and the output's gradient `G`: `∂V = Pᵀ G`, and with
    /// `S = P ∘ (G Vᵀ − rowsum(P ∘ G Vᵀ)) / √d`, `∂Q = S K` and `∂K = Sᵀ Q`.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    pub(crate) fn gradient(&self, from: &[f32], output: &[f32], to: &mut [f32]) -> Result<()> {
        self.check(from, output)?;
        length("the gradient", to.len(), from.len())?;
        let (text, triple) = (self.text(), 3 * self.text());
        let texts = to.par_chunks_mut(triple).zip(from.par_chunks(triple));
        let texts = texts.zip(output.par_chunks(text));
        texts
            .with_min_len(fewest(5 * self.work()))
            .try_for_each(|((to, from), output)| {
                (0..self.heads).try_for_each(|head| self.gradient_of(head, from, output, to))
            })
    }

    fn gradient_of(&self, head: usize, from: &[f32], output: &[f32], to: &mut [f32]) -> Result<()> {
        let (size, width) = (self.size, self.heads * self.size);
        let block = BLOCK * self.tokens;
        let mut weights = vec![0.0; block];
        let mut scores = vec![0.0; block];
        let mut sums = [(); 3].map(|()| vec![0.0; self.tokens * size]);
        for queries in self.blocks() {
            let seen = self.seen(&queries);
            let [of_queries, of_keys, of_values] = &mut sums;
            let of_queries = &mut of_queries[queries.start * size..queries.end * size];
            let [of_keys, of_values] =
                [of_keys, of_values].map(|sum| &mut sum[..seen.len() * size]);
            let weights = self.weights(from, head, queries.clone(), &mut weights)?;
            let output = Matrix {
                numbers: &output[queries.start * width + head * size..],
                size: [queries.len(), size],
                strides: [width, 1],
            };
            let values = self.part(from, Part::Values, head, seen.clone());
            let scores = &mut scores[..queries.len() * seen.len()];
            product(output, values.transposed(), self.factor(), scores)?;
            Instructions::detect().run(Scores {
                weights: weights.numbers,
                scores,
                count: seen.len(),
            });
            let scores = Matrix::rows(scores, [queries.len(), seen.len()]);
            let keys = self.part(from, Part::Keys, head, seen);
            product(scores, keys, 1.0, of_queries)?;
            let queries = self.part(from, Part::Queries, head, queries);
            product_onto(scores.transposed(), queries, 1.0, of_keys)?;
            product_onto(weights.transposed(), output, 1.0, of_values)?;
        }
        for (part, sum) in sums.iter().enumerate() {
            self.put(
                sum,
                to,
                part * width + head * size,
                3 * width,
                0..self.tokens,
            );
        }
        Ok(())
    }

    /// The attention weights of some queries, a row each, for the keys that any of them sees.
    fn weights<'a>(
        &self,
        from: &[f32],
        head: usize,
        queries: Range<usize>,
        to: &'a mut [f32],
    ) -> Result<Matrix<'a>> {
        let size = [queries.len(), self.seen(&queries).len()];
        let to = &mut to[..size[0] * size[1]];
        let keys = self.part(from, Part::Keys, head, self.seen(&queries));
        let rows = self.part(from, Part::Queries, head, queries.clone());
        product(rows, keys.transposed(), self.factor(), to)?;
        Instructions::detect().run(Weights {
            weights: to,
            count: size[1],
            first: self.causal.then_some(queries.start),
        });
        Ok(Matrix::rows(to, size))
    }

    /// Queries, keys or values of a head.
    fn part<'a>(
        &self,
        from: &'a [f32],
        part: Part,
        head: usize,
        tokens: Range<usize>,
    ) -> Matrix<'a> {
        let width = self.heads * self.size;
        Matrix {
            numbers: &from[tokens.start * 3 * width + part as usize * width + head * self.size..],
            size: [tokens.len(), self.size],
            strides: [3 * width, 1],
        }
    }

    /// Copies rows of a head to its columns of some tokens.
    fn put(&self, rows: &[f32], to: &mut [f32], column: usize, pitch: usize, tokens: Range<usize>) {
        for (row, token) in rows.chunks_exact(self.size).zip(tokens) {
            to[token * pitch + column..][..self.size].copy_from_slice(row);
        }
    }

    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let tokens = self.tokens;
        let starts = (0..tokens).step_by(BLOCK);
        starts.map(move |start| start..(start + BLOCK).min(tokens))
    }

    /// The keys that any of some queries sees.
    fn seen(&self, queries: &Range<usize>) -> Range<usize> {
        match self.causal {
            true => 0..queries.end,
            false => 0..self.tokens,
        }
    }

    fn factor(&self) -> f32 {
        (self.size as f32).sqrt().recip()
    }

    /// Numbers of a text's output.
    fn text(&self) -> usize {
        (self.tokens * self.heads * self.size).max(1)
    }

    /// Multiply-adds of a product of a text.
    fn work(&self) -> usize {
        self.text() * self.tokens
    }

    fn check(&self, from: &[f32], to: &[f32]) -> Result<()> {
        length(
            "the output",
            to.len(),
            to.len().next_multiple_of(self.text()),
        )?;
        length("queries, keys and values", from.len(), 3 * to.len())
    }
}

/// What a third of a token's numbers are.
#[derive(Clone, Copy)]
enum Part {
    Queries,
    Keys,
    Values,
}

/// Softmax of rows, in place.
struct Weights<'a> {
    weights: &'a mut [f32],
    /// Keys of a row.
    count: usize,
    /// Where tokens see none that is later: the first query.
    first: Option<usize>,
}

impl Job for Weights<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let rows = self.weights.chunks_exact_mut(self.count.max(1));
        for (index, row) in rows.enumerate() {
            let seen = self.first.map_or(self.count, |first| first + index + 1);
            let (seen, later) = row.split_at_mut(seen);
            along::<false>(seen);
            later.fill(0.0);
        }
    }
}

/// Gradients of the scores from those of the weights, in place: `P ∘ (S − rowsum(P ∘ S))`.
struct Scores<'a> {
    weights: &'a [f32],
    scores: &'a mut [f32],
    /// Keys of a row.
    count: usize,
}

impl Job for Scores<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        const LANES: usize = 16;
        let count = self.count.max(1);
        let rows = self.scores.chunks_exact_mut(count);
        for (scores, weights) in rows.zip(self.weights.chunks_exact(count)) {
            let mut sums = [0.0; LANES];
            for (scores, weights) in scores.chunks(LANES).zip(weights.chunks(LANES)) {
                for (sum, (score, weight)) in sums.iter_mut().zip(scores.iter().zip(weights)) {
                    *sum += score * weight;
                }
            }
            let sum: f32 = sums.iter().sum();
            for (score, weight) in scores.iter_mut().zip(weights) {
                *score = weight * (*score - sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: usize = 2;

    /// The formula in `f64`.
    fn exact(attention: SelfAttention, from: &[f64]) -> Vec<f64> {
        let SelfAttention {
            tokens,
            heads,
            size,
            causal,
        } = attention;
        let width = heads * size;
        let mut to = vec![0.0; from.len() / 3];
        for (text, head, query) in queries(heads, tokens) {
            let at = |part: usize, token: usize| {
                let start = (text * tokens + token) * 3 * width + part * width + head * size;
                &from[start..start + size]
            };
            let seen = if causal { query + 1 } else { tokens };
            let weight = |key: usize| {
                let pairs = at(0, query).iter().zip(at(1, key));
                let score: f64 = pairs.map(|(q, k)| q * k).sum();
                (score / (size as f64).sqrt()).exp()
            };
            let sum: f64 = (0..seen).map(weight).sum();
            for place in 0..size {
                let terms = (0..seen).map(|key| weight(key) / sum * at(2, key)[place]);
                to[(text * tokens + query) * width + head * size + place] = terms.sum();
            }
        }
        to
    }

    fn queries(heads: usize, tokens: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        (0..BATCH * heads * tokens).map(move |index| {
            let (rest, query) = (index / tokens, index % tokens);
            (rest / heads, rest % heads, query)
        })
    }

    /// One token, a block that is not full, and several blocks; gradients by central differences of the
    /// formula, whose own error is 1e-8 with steps of 1e-4 and slopes of third order around 1.
    #[test]
    fn outputs_and_gradients_are_the_formula() {
        for (tokens, causal) in [(1, false), (7, true), (7, false), (130, true), (70, false)] {
            let attention = SelfAttention {
                tokens,
                heads: 2,
                size: 3,
                causal,
            };
            let number = |i: usize| ((i * i * 7919) % 1009) as f32 / 500.0 - 0.9;
            let count = BATCH * tokens * 6;
            let from: Vec<f32> = (0..3 * count).map(number).collect();
            let output: Vec<f32> = (5..5 + count).map(number).collect();
            let (mut to, mut gradient) = (vec![f32::NAN; count], vec![f32::NAN; 3 * count]);
            attention.forward(&from, &mut to).unwrap();
            attention.gradient(&from, &output, &mut gradient).unwrap();
            let wide: Vec<f64> = from.iter().map(|x| f64::from(*x)).collect();
            for (found, exact) in to.iter().zip(exact(attention, &wide)) {
                // Means of at most 130 numbers around 1, weights of as many roundings.
                assert!((f64::from(*found) - exact).abs() < 1e-5);
            }
            for at in (0..3 * count).step_by(count / 9) {
                let loss = |step: f64| {
                    let mut moved = wide.clone();
                    moved[at] += step;
                    let outputs = exact(attention, &moved);
                    let terms = outputs.iter().zip(&output);
                    terms.map(|(y, g)| y * f64::from(*g)).sum::<f64>()
                };
                let exact = (loss(1e-4) - loss(-1e-4)) / 2e-4;
                // Sums of some hundred products around 1.
                let bound = 2e-5 * (1.0 + exact.abs());
                let found = f64::from(gradient[at]);
                assert!((found - exact).abs() < bound, "{at}: {found}, {exact}");
            }
            attention.forward(&from[1..], &mut to).unwrap_err();
            attention.forward(&from, &mut to[1..]).unwrap_err();
            attention.gradient(&from, &output, &mut to).unwrap_err();
        }
    }
}
