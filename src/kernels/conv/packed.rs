//! A convolution, or the transpose of one, whose weights do not change any more.

use super::super::rows::{Entry, Rows};
use super::super::scratch::places;
use super::super::shape::{examples, length};
use super::build::{backward, backward_place, forward, forward_offset, taps};
use super::direction::Direction;
use super::epilogue::Epilogue;
use super::multiply::Product;
use super::structure::ConvStructure;
use crate::error::Result;
use crate::kernels::{ConvShape, Instructions};

/// A convolution for inference: live weights with their values and nothing else, 8 bytes each.
///
/// ```
/// use zosam::kernels::{ConvShape, ConvStructure, Epilogue};
///
/// let shape = ConvShape::new([1, 1], [1, 2], [2, 2]);
/// let conv = ConvStructure::new(shape, &[false, true])?.packed(&[0.0, 10.0])?;
/// let mut output = [0.0; 2];
/// conv.forward(&[1.0, 2.0, 3.0, 4.0], Epilogue::default(), &mut output)?;
/// assert_eq!(output, [20.0, 40.0]);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PackedConv {
    shape: ConvShape,
    instructions: Instructions,
    direction: Direction,
    entries: Vec<Vec<Entry>>,
    /// Numbers of an image, before and after.
    numbers: [usize; 2],
    is_transposed: bool,
}

impl ConvStructure {
    /// Takes the live values of the dense weights for good.
    ///
    /// # Errors
    /// Weights of the wrong length.
    pub fn packed(self, weight: &[f32]) -> Result<PackedConv> {
        length("the weight", weight.len(), self.shape.weights())?;
        let numbers = [self.shape.inputs(), self.shape.outputs()];
        let (shape, instructions) = (self.shape, self.instructions);
        Ok(pack(
            shape,
            instructions,
            self.forward,
            weight,
            numbers,
            false,
        ))
    }
}

/// Keeps of a direction what a product of single images needs.
fn pack(
    shape: ConvShape,
    instructions: Instructions,
    mut direction: Direction,
    weight: &[f32],
    numbers: [usize; 2],
    is_transposed: bool,
) -> PackedConv {
    let mut entries = Vec::new();
    for part in &mut direction.parts {
        let all = part.rows.gather(weight);
        let starts = &part.rows.starts;
        // One block of channels, which is faster for one image at a time. The order in a row stays.
        let (mut merged, mut ends) = (Vec::with_capacity(all.len()), vec![0]);
        for row in 0..direction.targets {
            for block in 0..direction.blocks {
                let segment = block * direction.targets + row;
                merged.extend_from_slice(&all[starts[segment]..starts[segment + 1]]);
            }
            ends.push(merged.len());
        }
        entries.push(merged);
        part.rows = Rows {
            starts: ends,
            paired: part.rows.paired,
            ..Rows::default()
        };
    }
    direction.blocks = 1;
    PackedConv {
        shape,
        instructions,
        direction,
        entries,
        numbers,
        is_transposed,
    }
}

impl PackedConv {
    /// As [`ConvStructure::packed`], without what only training needs.
    ///
    /// # Errors
    /// A shape that is not valid, or weights or a mask of the wrong length.
    pub fn new(shape: ConvShape, weight: &[f32], live: &[bool]) -> Result<Self> {
        let numbers = [shape.inputs(), shape.outputs()];
        Self::build(shape, weight, live, numbers, false)
    }

    /// The transpose of the convolution of this shape: from its outputs to its inputs,
    /// `x = Wᵀ ⋆ y`, as in [`ConvStructure::input_gradient`]. A transposed convolution of a network
    /// is that; its output padding is in the size of the shape's input.
    ///
    /// ```
    /// use zosam::kernels::{ConvShape, Epilogue, PackedConv};
    ///
    /// // Every number becomes two, one beside the other.
    /// let shape = ConvShape::new([1, 1], [1, 2], [1, 4]).with_stride([1, 2]);
    /// let conv = PackedConv::transposed(shape, &[1.0, 10.0], &[true, true])?;
    /// let mut output = [0.0; 4];
    /// conv.forward(&[1.0, 2.0], Epilogue::default(), &mut output)?;
    /// assert_eq!(output, [1.0, 10.0, 2.0, 20.0]);
    /// # Ok::<(), zosam::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn transposed(shape: ConvShape, weight: &[f32], live: &[bool]) -> Result<Self> {
        let numbers = [shape.outputs(), shape.inputs()];
        Self::build(shape, weight, live, numbers, true)
    }

    fn build(
        shape: ConvShape,
        weight: &[f32],
        live: &[bool],
        numbers: [usize; 2],
        is_transposed: bool,
    ) -> Result<Self> {
        let instructions = Instructions::detect();
        shape.check()?;
        length("the weight", weight.len(), shape.weights())?;
        length("the mask", live.len(), shape.weights())?;
        let direction = if is_transposed { backward } else { forward };
        let direction = direction(&shape, live, instructions.lanes());
        direction.check(live.len())?;
        Ok(pack(
            shape,
            instructions,
            direction,
            weight,
            numbers,
            is_transposed,
        ))
    }

    /// `y = bounds(W ⋆ x + bias + residual)`, the last three if wanted, with the values it holds,
    /// image by image. All of the output is written.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn forward(&self, input: &[f32], epilogue: Epilogue<'_>, output: &mut [f32]) -> Result<()> {
        let images = examples("the input", input, self.numbers[0])?;
        let expected = images.saturating_mul(self.numbers[1]);
        length("the output", output.len(), expected)?;
        epilogue.check(self.direction.targets, output.len())?;
        let product = Product {
            instructions: self.instructions,
            direction: &self.direction,
            entries: &self.entries,
            // One by one: an image's outputs are the same to the bit alone or among others.
            interleaved: &[],
            together: 1,
        };
        // SAFETY: a product writes its sums, and nothing else.
        let output = unsafe { places(output) };
        product.multiply(input, epilogue, images, output);
        Ok(())
    }

    /// Numbers of an image, before and after.
    pub fn numbers(&self) -> [usize; 2] {
        self.numbers
    }

    /// The dense weights, zero where dead.
    ///
    /// Weights that never read anything but padding may have changed places among each other:
    /// nothing depends on theirs.
    pub fn weight(&self) -> Vec<f32> {
        let mut weight = vec![0.0; self.shape.weights()];
        let plane = &self.direction.plane;
        for (part, entries) in self.direction.parts.iter().zip(&self.entries) {
            // Live weights of a row are in the order of all weights.
            let mut next = part.rows.starts.clone();
            for output in 0..self.shape.channels[1] {
                for tap in taps(&self.shape, output) {
                    let (row, (phase, offset)) = match self.is_transposed {
                        false => {
                            let offset = forward_offset(&self.shape, plane, &tap);
                            (output, (part.phase, offset))
                        }
                        true => {
                            let place = backward_place(&self.shape, plane, output, &tap);
                            (tap.channel, place)
                        }
                    };
                    let at = next[row];
                    let is_here = phase == part.phase && at < part.rows.starts[row + 1];
                    if is_here && entries[at].offset() == offset {
                        weight[tap.position] = entries[at].weight();
                        next[row] += 1;
                    }
                }
            }
        }
        weight
    }

    /// The shape.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Number of live weights.
    pub fn live(&self) -> usize {
        self.entries.iter().map(Vec::len).sum()
    }

    /// Bytes of weights and of what finds them.
    pub fn bytes(&self) -> usize {
        let starts = self
            .direction
            .parts
            .iter()
            .map(|part| part.rows.starts.len());
        self.live() * size_of::<Entry>() + starts.sum::<usize>() * size_of::<usize>()
    }
}
