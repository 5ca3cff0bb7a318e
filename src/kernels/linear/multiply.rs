//! The two products with the weights: forward, and back to the inputs.

use std::ops::Range;

use rayon::prelude::*;

use super::super::rows::{Entry, Row, Rows, Start, TILE, Tile, multiply_rows};
use super::super::scratch::{Place, Scratch, Shared, places, tasks};
use super::super::shape::{examples, length};
use super::super::simd::{Job, Simd};
use super::LinearStructure;
use super::transpose::{pack, unpack};
use crate::error::Result;

impl LinearStructure {
    /// Forward: `y[n, o] = bias[o] + Σ_i W[o, i] x[n, i]` over the live weights.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn forward(
        &self,
        input: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
        output: &mut [f32],
    ) -> Result<()> {
        let count = examples("the input", input, self.inputs)?;
        length(
            "the output",
            output.len(),
            count.saturating_mul(self.outputs),
        )?;
        if let Some(bias) = bias {
            length("the bias", bias.len(), self.outputs)?;
        }
        let sides = [self.inputs, self.outputs];
        // SAFETY: a product writes its sums, and nothing else.
        let output = unsafe { places(output) };
        self.multiply(&self.forward, sides, input, weight, bias, output)
    }

    /// [`forward`](Self::forward) without a bias into a new vector.
    #[cfg(feature = "flex")]
    pub(crate) fn output(&self, input: &[f32], weight: &[f32]) -> Result<Vec<f32>> {
        let sides = [self.inputs, self.outputs];
        self.product(&self.forward, sides, input, weight)
    }

    /// [`input_gradient`](Self::input_gradient) into a new vector.
    #[cfg(feature = "flex")]
    pub(crate) fn gradient_of_input(
        &self,
        output_gradient: &[f32],
        weight: &[f32],
    ) -> Result<Vec<f32>> {
        let sides = [self.outputs, self.inputs];
        self.product(&self.backward, sides, output_gradient, weight)
    }

    #[cfg(feature = "flex")]
    fn product(
        &self,
        rows: &Rows,
        sides: [usize; 2],
        source: &[f32],
        weight: &[f32],
    ) -> Result<Vec<f32>> {
        let count = examples("the examples", source, sides[0])?;
        let write = |target: &mut [Place]| self.multiply(rows, sides, source, weight, None, target);
        // SAFETY: a product writes every number of its target, which the tests check on outputs
        // filled with NaN.
        unsafe { super::super::scratch::written(count.saturating_mul(sides[1]), write) }
    }

    /// Gradient of the inputs: `∂L/∂x[n, i] = Σ_o W[o, i] ∂L/∂y[n, o]` over the live weights.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn input_gradient(
        &self,
        output_gradient: &[f32],
        weight: &[f32],
        input_gradient: &mut [f32],
    ) -> Result<()> {
        let count = examples("the input gradient", input_gradient, self.inputs)?;
        let expected = count.saturating_mul(self.outputs);
        length("the output gradient", output_gradient.len(), expected)?;
        let sides = [self.outputs, self.inputs];
        // SAFETY: as for `forward`.
        let into = unsafe { places(input_gradient) };
        self.multiply(&self.backward, sides, output_gradient, weight, None, into)
    }

    fn multiply(
        &self,
        rows: &Rows,
        [inputs, outputs]: [usize; 2],
        source: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
        target: &mut [Place],
    ) -> Result<()> {
        length("the weight", weight.len(), self.inputs * self.outputs)?;
        let entries = rows.gather(weight);
        let count = source.len() / inputs;
        let blocks = count.div_ceil(TILE * self.instructions.lanes());
        let target = Shared::of(target);
        tasks(blocks, outputs)
            .into_par_iter()
            .for_each(|(blocks, outputs_of_task)| {
                self.instructions.run(Multiply {
                    rows,
                    entries: &entries,
                    sides: [inputs, outputs],
                    source,
                    bias,
                    count,
                    blocks,
                    outputs: outputs_of_task,
                    target,
                });
            });
        Ok(())
    }
}

/// Some blocks of examples and some rows of a product.
struct Multiply<'a> {
    rows: &'a Rows,
    entries: &'a [Entry],
    sides: [usize; 2],
    source: &'a [f32],
    bias: Option<&'a [f32]>,
    /// Examples.
    count: usize,
    blocks: Range<usize>,
    outputs: Range<usize>,
    target: Shared,
}

impl Job for Multiply<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let block = TILE * S::LANES;
        let [inputs, outputs] = self.sides;
        let packed = inputs.next_multiple_of(S::LANES) * block;
        let (mut scratch, ranges) = Scratch::take([packed, S::LANES * block, S::LANES * S::LANES]);
        let [packed, results, corner] = scratch.arrays(ranges);
        for index in self.blocks.clone() {
            let first = index * block;
            let count = block.min(self.count - first);
            let vectors = count.div_ceil(S::LANES);
            // SAFETY: source and target have `count` examples from `first` on; scratch arrays have
            // whole blocks. No other task writes these outputs of these examples.
            unsafe {
                let source = self.source.as_ptr().add(first * inputs);
                pack::<S>(source, inputs, 0..inputs, count, packed.as_mut_ptr(), block);
                let target = self.target.pointer().add(first * outputs);
                let mut row = self.outputs.start;
                while row < self.outputs.end {
                    let together = S::LANES.min(self.outputs.end - row);
                    let tile = Tile::line(packed.as_ptr(), [S::LANES; 2], vectors);
                    let to = results.as_mut_ptr();
                    let some = row..row + together;
                    multiply_rows::<S, false>(some, self.rows.paired, tile, |index| Row {
                        entries: self.rows.of(self.entries, index),
                        start: Start::Bias(self.bias.map_or(0.0, |bias| bias[index])),
                        to: to.add((index - row) * block),
                    });
                    let to = target.add(row);
                    let corner = corner.as_mut_ptr();
                    unpack::<S>(
                        results.as_ptr(),
                        block,
                        together,
                        count,
                        to,
                        outputs,
                        corner,
                    );
                    row += together;
                }
            }
        }
    }
}
