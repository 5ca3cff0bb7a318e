//! A convolution whose weights do not change any more.

use super::super::rows::{Entry, Rows};
use super::super::scratch::places;
use super::super::shape::length;
use super::direction::Direction;
use super::multiply::{Epilogue, Product};
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
    pub(super) shape: ConvShape,
    pub(super) instructions: Instructions,
    pub(super) direction: Direction,
    pub(super) entries: Vec<Vec<Entry>>,
}

impl ConvStructure {
    /// Takes the live values of the dense weights for good.
    ///
    /// # Errors
    /// Weights of the wrong length.
    pub fn packed(self, weight: &[f32]) -> Result<PackedConv> {
        length("the weight", weight.len(), self.shape.weights())?;
        let mut direction = self.forward;
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
        Ok(PackedConv {
            shape: self.shape,
            instructions: self.instructions,
            direction,
            entries,
        })
    }
}

impl PackedConv {
    /// As [`ConvStructure::forward`], with the values it holds.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn forward(&self, input: &[f32], epilogue: Epilogue<'_>, output: &mut [f32]) -> Result<()> {
        let images = self.shape.images(input, epilogue, output.len())?;
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
