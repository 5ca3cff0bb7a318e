//! The gradient of the live weights.

use std::ops::Range;

use rayon::prelude::*;

use super::super::products::{Strided, accumulate_row};
use super::super::rows::TILE;
use super::super::scratch::{Scratch, Shared, tasks};
use super::super::shape::{examples, length};
use super::super::simd::{Job, Simd};
use super::LinearStructure;
use super::transpose::pack;
use crate::error::Result;

impl LinearStructure {
    /// Gradient of the live weights: `∂L/∂w[o, i] = Σ_n ∂L/∂y[n, o] x[n, i]`, zero where a weight
    /// is dead.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn weight_gradient(
        &self,
        input: &[f32],
        output_gradient: &[f32],
        weight_gradient: &mut [f32],
    ) -> Result<()> {
        let count = examples("the input", input, self.inputs)?;
        let expected = count.saturating_mul(self.outputs);
        length("the output gradient", output_gradient.len(), expected)?;
        length(
            "the weight gradient",
            weight_gradient.len(),
            self.inputs * self.outputs,
        )?;
        weight_gradient.fill(0.0);
        let target = Shared::new(weight_gradient);
        // By rows only, so that the order of a sum does not depend on the threads.
        tasks(1, self.outputs)
            .into_par_iter()
            .for_each(|(_, rows)| {
                self.instructions.run(Gradient {
                    structure: self,
                    input,
                    output_gradient,
                    count,
                    rows,
                    target,
                });
            });
        Ok(())
    }
}

/// Rows of the weight gradient over all examples.
struct Gradient<'a> {
    structure: &'a LinearStructure,
    input: &'a [f32],
    output_gradient: &'a [f32],
    /// Examples.
    count: usize,
    rows: Range<usize>,
    target: Shared,
}

impl Job for Gradient<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let block = TILE * S::LANES;
        let [inputs, outputs] = [self.structure.inputs, self.structure.outputs];
        let rows = &self.structure.forward;
        let live = rows.starts[self.rows.start]..rows.starts[self.rows.end];
        let lengths = [
            inputs.next_multiple_of(S::LANES) * block,
            S::LANES * block,
            live.len() * S::LANES,
        ];
        let (mut scratch, ranges) = Scratch::take(lengths);
        let [source, gradient, totals] = scratch.arrays(ranges);
        let mut first = 0;
        while first < self.count {
            let count = block.min(self.count - first);
            let vectors = count.div_ceil(S::LANES);
            // SAFETY: both slices have `count` examples from `first` on; scratch arrays have whole
            // blocks.
            unsafe {
                let from = self.input.as_ptr().add(first * inputs);
                pack::<S>(from, inputs, 0..inputs, count, source.as_mut_ptr(), block);
                let from = self.output_gradient.as_ptr().add(first * outputs);
                let source = Strided {
                    first: source.as_ptr(),
                    stride: 0,
                    step: S::LANES,
                };
                let mut row = self.rows.start;
                while row < self.rows.end {
                    let end = self.rows.end.min(row + S::LANES);
                    pack::<S>(from, outputs, row..end, count, gradient.as_mut_ptr(), block);
                    for index in row..end {
                        let gradient = Strided {
                            first: gradient.as_ptr().add((index - row) * block),
                            stride: 0,
                            step: S::LANES,
                        };
                        let offsets = &rows.offsets[rows.starts[index]..rows.starts[index + 1]];
                        let at = (rows.starts[index] - live.start) * S::LANES;
                        let totals = totals.as_mut_ptr().add(at);
                        accumulate_row::<S>(offsets, gradient, source, 1, vectors, totals);
                    }
                    row = end;
                }
            }
            first += count;
        }
        for (index, at) in live.enumerate() {
            // SAFETY: a vector per live weight of these rows; positions are in the weights, and no
            // other task has them.
            unsafe {
                let total = S::sum(S::load(totals.as_ptr().add(index * S::LANES)));
                *self.target.pointer().add(rows.positions[at] as usize) = total;
            }
        }
    }
}
