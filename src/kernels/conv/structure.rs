//! The live weights of a convolution, prepared for its three products.

use super::super::shape::{ConvShape, length};
use super::super::simd::Instructions;
use super::build::{backward, forward};
use super::direction::Direction;
use crate::error::Result;

/// Where the live weights of a convolution are, prepared for the three products of training.
///
/// Memory: 12 bytes per live weight and direction, no values.
///
/// ```
/// use zosam::kernels::{ConvShape, ConvStructure, Epilogue};
///
/// // One 2 × 2 image, a 1 × 2 kernel of which the right weight is live.
/// let shape = ConvShape::new([1, 1], [1, 2], [2, 2]);
/// let conv = ConvStructure::new(shape, &[false, true])?;
/// let (input, weight) = ([1.0, 2.0, 3.0, 4.0], [f32::NAN, 10.0]);
/// let mut output = [0.0; 2];
/// conv.forward(&input, &weight, Epilogue::default(), &mut output)?;
/// assert_eq!(output, [20.0, 40.0]);
///
/// let mut gradient = [0.0; 2];
/// conv.weight_gradient(&input, &[1.0, 1.0], &mut gradient)?;
/// assert_eq!(gradient, [0.0, 6.0]); // 2 + 4; the dead weight's is zero
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConvStructure {
    pub(super) shape: ConvShape,
    pub(super) instructions: Instructions,
    pub(super) forward: Direction,
    pub(super) backward: Direction,
}

impl ConvStructure {
    /// Builds the structure of a mask in the order of the weights, `true` for live, on the fastest
    /// instructions.
    ///
    /// # Errors
    /// A shape that is not valid, or a mask of another length than the weights.
    pub fn new(shape: ConvShape, mask: &[bool]) -> Result<Self> {
        Self::with_instructions(shape, mask, Instructions::detect())
    }

    /// As [`new`](Self::new), on instructions of your choice.
    ///
    /// # Errors
    /// Also if the CPU lacks the instructions.
    pub fn with_instructions(
        shape: ConvShape,
        mask: &[bool],
        instructions: Instructions,
    ) -> Result<Self> {
        shape.check()?;
        instructions.check()?;
        length("the mask", mask.len(), shape.weights())?;
        let structure = Self {
            forward: forward(&shape, mask, instructions.lanes()),
            backward: backward(&shape, mask, instructions.lanes()),
            shape,
            instructions,
        };
        structure.forward.check(mask.len())?;
        structure.backward.check(mask.len())?;
        Ok(structure)
    }

    /// The shape.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Number of live weights.
    pub fn live(&self) -> usize {
        self.forward.parts[0].rows.offsets.len()
    }

    /// The instructions that it runs on.
    pub fn instructions(&self) -> Instructions {
        self.instructions
    }
}
