//! The two products with the weights: forward, and back to the inputs.

use rayon::prelude::*;

use super::super::rows::Entry;
use super::super::scratch::{Place, Shared, places, tasks_of};
use super::super::shape::{ConvShape, examples, length};
use super::super::simd::Instructions;
use super::direction::Direction;
use super::epilogue::Epilogue;
use super::multiply_many::MultiplyMany;
use super::multiply_one::MultiplyOne;
use super::structure::ConvStructure;
use crate::error::Result;

impl ConvStructure {
    /// Forward: `y[n, o] = Σ_c W[o, c] ⋆ x[n, c]` over the live weights, then the epilogue.
    ///
    /// `input` is `[N, channels, height, width]`, `weight` the dense weights, of which only live
    /// ones are read, `output` `[N, outputs, …]`, all of it written.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn forward(
        &self,
        input: &[f32],
        weight: &[f32],
        epilogue: Epilogue<'_>,
        output: &mut [f32],
    ) -> Result<()> {
        let images = self.shape.images(input, epilogue, output.len())?;
        // SAFETY: a product writes its sums, and nothing else.
        let output = unsafe { places(output) };
        self.multiply(&self.forward, input, weight, epilogue, images, output)
    }

    /// [`forward`](Self::forward) into a new vector.
    #[cfg(feature = "flex")]
    pub(crate) fn output(&self, input: &[f32], weight: &[f32]) -> Result<Vec<f32>> {
        let images = examples("the input", input, self.shape.inputs())?;
        let none = Epilogue::default();
        let write = |output: &mut [Place]| {
            self.multiply(&self.forward, input, weight, none, images, output)
        };
        // SAFETY: a product writes every position of its target, which the tests check on outputs
        // filled with NaN.
        unsafe {
            super::super::scratch::written(images.saturating_mul(self.shape.outputs()), write)
        }
    }

    /// Gradient of the inputs: `∂L/∂x[n, c] = Σ_o W[o, c]ᵀ ⋆ ∂L/∂y[n, o]` over the live weights.
    ///
    /// `output_gradient` is `[N, outputs, …]`, `input_gradient` `[N, channels, height, width]`, all
    /// of it written.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn input_gradient(
        &self,
        output_gradient: &[f32],
        weight: &[f32],
        input_gradient: &mut [f32],
    ) -> Result<()> {
        let images = examples("the input gradient", input_gradient, self.shape.inputs())?;
        let expected = images.saturating_mul(self.shape.outputs());
        length("the output gradient", output_gradient.len(), expected)?;
        // SAFETY: as for `forward`.
        let into = unsafe { places(input_gradient) };
        self.multiply_back(output_gradient, weight, images, into)
    }

    /// [`input_gradient`](Self::input_gradient) into a new vector.
    #[cfg(feature = "flex")]
    pub(crate) fn gradient_of_input(
        &self,
        output_gradient: &[f32],
        weight: &[f32],
    ) -> Result<Vec<f32>> {
        let outputs = self.shape.outputs();
        let images = examples("the output gradient", output_gradient, outputs)?;
        let write = |into: &mut [Place]| self.multiply_back(output_gradient, weight, images, into);
        // SAFETY: as for `output`.
        unsafe { super::super::scratch::written(images.saturating_mul(self.shape.inputs()), write) }
    }

    fn multiply_back(
        &self,
        output_gradient: &[f32],
        weight: &[f32],
        images: usize,
        into: &mut [Place],
    ) -> Result<()> {
        let none = Epilogue::default();
        self.multiply(&self.backward, output_gradient, weight, none, images, into)
    }

    fn multiply(
        &self,
        direction: &Direction,
        source: &[f32],
        weight: &[f32],
        epilogue: Epilogue<'_>,
        images: usize,
        target: &mut [Place],
    ) -> Result<()> {
        length("the weight", weight.len(), self.shape.weights())?;
        let lanes = self.instructions.lanes();
        // What follows the bias is for inference, which takes images one by one.
        let plain = epilogue.residual.is_none() && epilogue.bounds.is_none();
        let together = match direction.interleaves && plain && images >= lanes {
            true => lanes,
            false => 1,
        };
        let parts = || direction.parts.iter().map(|part| &part.rows);
        let one = parts().map(|rows| rows.gather(weight));
        let many = parts().map(|rows| rows.gather_at(&rows.interleaved, weight));
        let product = Product {
            instructions: self.instructions,
            direction,
            entries: &match together == 1 || !images.is_multiple_of(together) {
                true => one.collect::<Vec<_>>(),
                false => Vec::new(),
            },
            interleaved: &match together {
                1 => Vec::new(),
                _ => many.collect::<Vec<_>>(),
            },
            together,
        };
        product.multiply(source, epilogue, images, target);
        Ok(())
    }
}

/// A direction with its values.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) instructions: Instructions,
    pub(super) direction: &'a Direction,
    /// For images one by one.
    pub(super) entries: &'a [Vec<Entry>],
    /// For a vector of images at once.
    pub(super) interleaved: &'a [Vec<Entry>],
    /// Images taken at once: 1 or the lanes of a vector. Those left over are taken one by one.
    pub(super) together: usize,
}

impl Product<'_> {
    /// On slices whose lengths were checked.
    pub(super) fn multiply(
        self,
        source: &[f32],
        epilogue: Epilogue<'_>,
        images: usize,
        target: &mut [Place],
    ) {
        let (together, target) = (self.together, Shared::of(target));
        let units = images.div_ceil(together);
        let work = images.saturating_mul(self.direction.work());
        let tasks = tasks_of(work, units, self.direction.targets);
        tasks.into_par_iter().for_each(|(units, rows)| {
            let range = units.start * together..images.min(units.end * together);
            let whole = match together {
                1 => range.start,
                _ => range.start + range.len() / together * together,
            };
            if range.start < whole {
                self.instructions.run(MultiplyMany {
                    direction: self.direction,
                    entries: self.interleaved,
                    source,
                    bias: epilogue.bias,
                    images: range.start..whole,
                    rows: rows.clone(),
                    target,
                });
            }
            if whole < range.end {
                self.instructions.run(MultiplyOne {
                    direction: self.direction,
                    entries: self.entries,
                    source,
                    epilogue,
                    images: whole..range.end,
                    rows,
                    target,
                });
            }
        });
    }
}

impl ConvShape {
    /// Number of images, if the slices of a forward pass have the lengths they should.
    pub(super) fn images(
        &self,
        input: &[f32],
        epilogue: Epilogue<'_>,
        output: usize,
    ) -> Result<usize> {
        let images = examples("the input", input, self.inputs())?;
        length("the output", output, images.saturating_mul(self.outputs()))?;
        epilogue.check(self.channels[1], output)?;
        Ok(images)
    }
}
