//! Sparse linear layers: rows of live weights times the transpose of the examples.
//!
//! Examples are taken in blocks and transposed, so that a lane is an example and one broadcast
//! weight serves the whole block. Weights are the same core as a convolution's.

mod gradient;
mod multiply;
mod single;
mod transpose;

pub use single::SingleLinear;

use super::rows::{Rows, TILE};
use super::shape::length;
use super::simd::Instructions;
use crate::error::{Result, check};

/// Where the live weights of a linear layer are, prepared for the three products of training:
/// `y = x Wᵀ + b`.
///
/// Weights are `[outputs, inputs]` (PyTorch's order; burn's `Linear` keeps the transpose, see
/// [`transposed`](Self::transposed)), examples `[N, inputs]`.
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
    /// Builds the structure of a mask in the order of the weights, `true` for live, on the fastest
    /// instructions.
    ///
    /// # Errors
    /// No inputs or outputs, or a mask of another length than the weights.
    pub fn new(inputs: usize, outputs: usize, mask: &[bool]) -> Result<Self> {
        Self::with_instructions(inputs, outputs, mask, Instructions::detect())
    }

    /// As [`new`](Self::new), for weights `[inputs, outputs]`, burn's order: mask, weights and
    /// their gradients lie that way.
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

    /// Weight (input, output) is number `input · strides[0] + output · strides[1]` of the dense
    /// ones.
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
            forward: forward.finish(outputs),
            backward: backward.finish(inputs),
        })
    }

    /// Number of live weights.
    pub fn live(&self) -> usize {
        self.forward.offsets.len()
    }
}
