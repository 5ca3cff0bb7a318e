//! Sparse linear layers: rows of live weights times the transpose of the examples.
//!
//! Examples are taken in blocks and transposed, so that a lane is an example and one broadcast weight serves the whole block.
//! Weights are the same core as a convolution's.

use std::ops::Range;

use rayon::prelude::*;

use super::products::{Strided, accumulate_row};
use super::rows::{Entry, Rows, Start, TILE, Vectors, multiply_tile};
use super::scratch::{Place, Scratch, Shared, places, tasks};
use super::shape::{examples, length};
use super::simd::{Instructions, Job, Simd};
use crate::error::{Result, check};

/// Where the live weights of a linear layer are, prepared for the three products of training: `y = x Wᵀ + b`.
///
/// Weights are `[outputs, inputs]` (PyTorch's order; burn's `Linear` keeps the transpose, see [`transposed`](Self::transposed)),
/// examples `[N, inputs]`.
///
/// ```
/// use zosam::kernels::LinearStructure;
///
/// let linear = LinearStructure::new(2, 1, &[true, false])?; // 2 inputs, 1 output
/// let mut output = [0.0; 2];
/// linear.forward(&[1.0, 2.0, 3.0, 4.0], &[10.0, f32::NAN], Some(&[0.5]), &mut output)?;
/// assert_eq!(output, [10.5, 30.5]);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LinearStructure {
    inputs: usize,
    outputs: usize,
    instructions: Instructions,
    forward: Rows,
    backward: Rows,
}

impl LinearStructure {
    /// Builds the structure of a mask in the order of the weights, `true` for live, on the fastest instructions.
    ///
    /// # Errors
    /// No inputs or outputs, or a mask of another length than the weights.
    pub fn new(inputs: usize, outputs: usize, mask: &[bool]) -> Result<Self> {
        Self::with_instructions(inputs, outputs, mask, Instructions::detect())
    }

    /// As [`new`](Self::new), for weights `[inputs, outputs]`, burn's order: mask, weights and their gradients lie that way.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn transposed(inputs: usize, outputs: usize, mask: &[bool]) -> Result<Self> {
        Self::build(
            [inputs, outputs],
            [outputs, 1],
            mask,
            Instructions::detect(),
        )
    }

    /// As [`new`](Self::new), on instructions of your choice.
    ///
    /// # Errors
    /// Also if the CPU lacks the instructions.
    pub fn with_instructions(
        inputs: usize,
        outputs: usize,
        mask: &[bool],
        instructions: Instructions,
    ) -> Result<Self> {
        Self::build([inputs, outputs], [1, inputs], mask, instructions)
    }

    /// Weight (input, output) is number `input · strides[0] + output · strides[1]` of the dense ones.
    fn build(
        [inputs, outputs]: [usize; 2],
        strides: [usize; 2],
        mask: &[bool],
        instructions: Instructions,
    ) -> Result<Self> {
        instructions.check()?;
        let most = 1 << 22;
        check(
            "inputs",
            inputs as f64,
            (1..=most).contains(&inputs),
            "1 to 4194304",
        )?;
        check(
            "outputs",
            outputs as f64,
            (1..=most).contains(&outputs),
            "1 to 4194304",
        )?;
        let weights = inputs * outputs;
        check(
            "weights",
            weights as f64,
            weights < u32::MAX as usize,
            "below 2³²",
        )?;
        length("the mask", mask.len(), weights)?;
        let block = TILE * instructions.lanes();
        let mut forward = Rows::new();
        for output in 0..outputs {
            for input in 0..inputs {
                let position = input * strides[0] + output * strides[1];
                if mask[position] {
                    forward.push(input * block, position);
                }
            }
            forward.end_row();
        }
        let mut backward = Rows::new();
        for input in 0..inputs {
            for output in 0..outputs {
                let position = input * strides[0] + output * strides[1];
                if mask[position] {
                    backward.push(output * block, position);
                }
            }
            backward.end_row();
        }
        Ok(Self {
            inputs,
            outputs,
            instructions,
            forward,
            backward,
        })
    }

    /// Number of live weights.
    pub fn live(&self) -> usize {
        self.forward.offsets.len()
    }

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
        let output = places(output);
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
        // SAFETY: a product writes every number of its target, which the tests check on outputs filled with NaN.
        unsafe { super::scratch::written(count.saturating_mul(sides[1]), write) }
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
        let into = places(input_gradient);
        self.multiply(&self.backward, sides, output_gradient, weight, None, into)
    }

    /// Gradient of the live weights: `∂L/∂w[o, i] = Σ_n ∂L/∂y[n, o] x[n, i]`, zero where a weight is dead.
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
            // SAFETY: source and target have `count` examples from `first` on; scratch arrays have whole blocks. No other
            // task writes these outputs of these examples.
            unsafe {
                let source = self.source.as_ptr().add(first * inputs);
                pack::<S>(source, inputs, 0..inputs, count, packed.as_mut_ptr(), block);
                let target = self.target.pointer().add(first * outputs);
                let mut row = self.outputs.start;
                while row < self.outputs.end {
                    let together = S::LANES.min(self.outputs.end - row);
                    for index in 0..together {
                        let starts = &self.rows.starts[row + index..];
                        let entries = &self.entries[starts[0]..starts[1]];
                        let bias = self.bias.map_or(0.0, |bias| bias[row + index]);
                        let from = Vectors {
                            first: packed.as_ptr(),
                            step: S::LANES,
                        };
                        let to = Vectors {
                            first: results.as_mut_ptr().add(index * block),
                            step: S::LANES,
                        };
                        multiply_tile::<S>(entries, from, Start::Bias(bias), to, vectors);
                    }
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
            // SAFETY: both slices have `count` examples from `first` on; scratch arrays have whole blocks.
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
            // SAFETY: a vector per live weight of these rows; positions are in the weights, and no other task has them.
            unsafe {
                let total = S::sum(S::load(totals.as_ptr().add(index * S::LANES)));
                *self.target.pointer().add(rows.positions[at] as usize) = total;
            }
        }
    }
}

/// Transposes some columns of `count` examples to rows of `block` numbers; examples that fill the last vector are zeros.
///
/// # Safety
/// `from` is valid for the examples, `to` for the rows, rounded up to whole vectors; the CPU has the instructions of `S`.
#[inline(always)]
unsafe fn pack<S: Simd>(
    from: *const f32,
    stride: usize,
    columns: Range<usize>,
    count: usize,
    to: *mut f32,
    block: usize,
) {
    let whole_columns = columns.len() / S::LANES * S::LANES;
    let mut example = 0;
    while example < count {
        let together = S::LANES.min(count - example);
        let whole = if together == S::LANES {
            whole_columns
        } else {
            0
        };
        // SAFETY: whole blocks lie inside on both sides; the rest goes number by number.
        unsafe {
            let from = from.add(example * stride + columns.start);
            let to = to.add(example);
            let mut column = 0;
            while column < whole {
                S::transpose(from.add(column), stride, to.add(column * block), block);
                column += S::LANES;
            }
            for column in whole..columns.len() {
                for lane in 0..S::LANES {
                    let value = if lane < together {
                        *from.add(lane * stride + column)
                    } else {
                        0.0
                    };
                    *to.add(column * block + lane) = value;
                }
            }
        }
        example += S::LANES;
    }
}

/// The way back: `rows` rows of `block` numbers to columns of `count` examples.
///
/// # Safety
/// `from` is valid for `LANES` rows, `to` for the columns of all examples, `corner` for `LANES²` numbers; the CPU has the
/// instructions of `S`.
#[inline(always)]
unsafe fn unpack<S: Simd>(
    from: *const f32,
    block: usize,
    rows: usize,
    count: usize,
    to: *mut f32,
    stride: usize,
    corner: *mut f32,
) {
    let mut example = 0;
    while example < count {
        let together = S::LANES.min(count - example);
        // SAFETY: a whole block goes to its place, a part of one by way of the corner.
        unsafe {
            let (from, to) = (from.add(example), to.add(example * stride));
            if together == S::LANES && rows == S::LANES {
                S::transpose(from, block, to, stride);
            } else {
                S::transpose(from, block, corner, S::LANES);
                for lane in 0..together {
                    let from = corner.add(lane * S::LANES);
                    from.copy_to_nonoverlapping(to.add(lane * stride), rows);
                }
            }
        }
        example += S::LANES;
    }
}
