//! The two products with the weights: forward, and back to the inputs.

use std::ops::Range;

use rayon::prelude::*;

use super::super::rows::{Entry, multiply_tile, tiles};
use super::super::scratch::{Scratch, Shared, tasks};
use super::super::shape::{ConvShape, examples, length};
use super::super::simd::{Instructions, Job, Simd};
use super::structure::{ConvStructure, Direction, Part, Spread};
use crate::error::Result;

/// What is done to an output before it is written: `y = relu(W ⋆ x + bias + residual)`, each part optional.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// One number per output channel.
    pub bias: Option<&'a [f32]>,
    /// As many numbers as the output.
    pub residual: Option<&'a [f32]>,
    /// Whether negative outputs become zero; NaN stays.
    pub relu: bool,
}

impl ConvStructure {
    /// Forward: `y[n, o] = Σ_c W[o, c] ⋆ x[n, c]` over the live weights, then the epilogue.
    ///
    /// `input` is `[N, channels, height, width]`, `weight` the dense weights, of which only live ones are read, `output`
    /// `[N, outputs, …]`, all of it written.
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
        let images = self.shape.images(input, epilogue, output)?;
        self.multiply(&self.forward, input, weight, epilogue, images, output)
    }

    /// Gradient of the inputs: `∂L/∂x[n, c] = Σ_o W[o, c]ᵀ ⋆ ∂L/∂y[n, o]` over the live weights.
    ///
    /// `output_gradient` is `[N, outputs, …]`, `input_gradient` `[N, channels, height, width]`, all of it written.
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
        let none = Epilogue::default();
        self.multiply(
            &self.backward,
            output_gradient,
            weight,
            none,
            images,
            input_gradient,
        )
    }

    fn multiply(
        &self,
        direction: &Direction,
        source: &[f32],
        weight: &[f32],
        epilogue: Epilogue<'_>,
        images: usize,
        target: &mut [f32],
    ) -> Result<()> {
        length("the weight", weight.len(), self.shape.weights())?;
        let parts = direction.parts.iter();
        let entries: Vec<_> = parts.map(|part| part.rows.gather(weight)).collect();
        let parts = (self.instructions, direction, &entries[..]);
        multiply(parts, source, epilogue, images, target);
        Ok(())
    }
}

/// A direction with its values, on slices whose lengths were checked.
pub(super) fn multiply(
    (instructions, direction, entries): (Instructions, &Direction, &[Vec<Entry>]),
    source: &[f32],
    epilogue: Epilogue<'_>,
    images: usize,
    target: &mut [f32],
) {
    let rows = direction.parts[0].rows.count();
    let target = Shared::new(target);
    tasks(images, rows)
        .into_par_iter()
        .for_each(|(images, rows)| {
            instructions.run(Multiply {
                direction,
                entries,
                source,
                epilogue,
                images,
                rows,
                target,
            });
        });
}

impl ConvShape {
    /// Number of images, if the slices of a forward pass have the lengths they should.
    pub(super) fn images(
        &self,
        input: &[f32],
        epilogue: Epilogue<'_>,
        output: &[f32],
    ) -> Result<usize> {
        let images = examples("the input", input, self.inputs())?;
        length(
            "the output",
            output.len(),
            images.saturating_mul(self.outputs()),
        )?;
        if let Some(bias) = epilogue.bias {
            length("the bias", bias.len(), self.channels[1])?;
        }
        if let Some(residual) = epilogue.residual {
            length("the residual", residual.len(), output.len())?;
        }
        Ok(images)
    }
}

/// Some images and some rows of a product.
struct Multiply<'a> {
    direction: &'a Direction,
    entries: &'a [Vec<Entry>],
    source: &'a [f32],
    epilogue: Epilogue<'a>,
    images: Range<usize>,
    rows: Range<usize>,
    target: Shared,
}

impl Job for Multiply<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let plane = &self.direction.plane;
        let packed = self.direction.channels * plane.phases() * plane.length;
        let results = self.rows.len() * plane.vectors * S::LANES;
        let (mut scratch, ranges) = Scratch::take([packed, results]);
        let [packed, results] = scratch.arrays(ranges);
        for image in self.images.clone() {
            // SAFETY: the scratch has the plane's sizes; slices were checked to hold all images.
            unsafe {
                self.pack(image, packed);
                for (part, entries) in self.direction.parts.iter().zip(self.entries) {
                    self.compute::<S>(part, entries, packed, results);
                    self.write(part, image, results);
                }
            }
        }
    }
}

impl Multiply<'_> {
    /// # Safety
    /// `packed` holds all channels' planes.
    #[inline(always)]
    unsafe fn pack(&self, image: usize, packed: &mut [f32]) {
        let plane = &self.direction.plane;
        let size = plane.rows.inputs * plane.columns.inputs;
        for channel in 0..self.direction.channels {
            let from = (image * self.direction.channels + channel) * size;
            let to = channel * plane.phases() * plane.length;
            // SAFETY: the image's channel lies in the source, its planes in the scratch.
            unsafe {
                let from = self.source.as_ptr().add(from);
                plane.pack(from, packed.as_mut_ptr().add(to));
            }
        }
    }

    /// Tile by tile, all rows of each: what a tile reads stays in the first cache.
    ///
    /// # Safety
    /// `packed` and `results` have the plane's sizes; the CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn compute<S: Simd>(
        &self,
        part: &Part,
        entries: &[Entry],
        packed: &[f32],
        results: &mut [f32],
    ) {
        let plane = &self.direction.plane;
        for (start, count) in tiles(plane.vectors) {
            for (index, row) in self.rows.clone().enumerate() {
                let entries = &entries[part.rows.starts[row]..part.rows.starts[row + 1]];
                let bias = self.epilogue.bias.map_or(0.0, |bias| bias[row]);
                // SAFETY: the plane's length covers every vector at every offset.
                unsafe {
                    let to = results.as_mut_ptr().add(index * plane.vectors * S::LANES);
                    multiply_tile::<S>(entries, packed.as_ptr(), bias, to, start, count);
                }
            }
        }
    }

    /// # Safety
    /// `results` has the plane's size; no other task writes these rows of this image.
    #[inline(always)]
    unsafe fn write(&self, part: &Part, image: usize, results: &[f32]) {
        let [height, width] = self.direction.size;
        let plane = &self.direction.plane;
        let lengths = results.len() / self.rows.len().max(1);
        let [down, across] = part.target;
        let (ys, first_y) = down.inside(plane.rows.outputs, height);
        let (xs, first_x) = across.inside(plane.columns.outputs, width);
        for (index, row) in self.rows.clone().enumerate() {
            let to = (image * part.rows.count() + row) * height * width;
            for (line, y) in ys.clone().enumerate() {
                let from = index * lengths + y * plane.pitch + xs.start;
                let from = &results[from..from + xs.len()];
                let at = to + (first_y + line * down.step) * width + first_x;
                // SAFETY: `inside` keeps the line in the target.
                unsafe { self.write_line(from, at, across.step) };
            }
        }
    }

    /// # Safety
    /// The target has the numbers `at, at + step, …` for all of `from`, and no other task writes them.
    #[inline(always)]
    unsafe fn write_line(&self, from: &[f32], at: usize, step: usize) {
        // SAFETY: the caller's contract.
        let to = unsafe { self.target.pointer().add(at) };
        let (residual, relu) = (self.epilogue.residual, self.epilogue.relu);
        if step == 1 && residual.is_none() && !relu {
            // SAFETY: the caller's contract.
            return unsafe { from.as_ptr().copy_to_nonoverlapping(to, from.len()) };
        }
        for (index, &value) in from.iter().enumerate() {
            let value = value + residual.map_or(0.0, |residual| residual[at + index * step]);
            let value = if relu && value < 0.0 { 0.0 } else { value };
            // SAFETY: the caller's contract.
            unsafe { *to.add(index * step) = value };
        }
    }
}

impl Spread {
    /// The indices below `count` that have a target position below `size`, and the first such position.
    fn inside(&self, count: usize, size: usize) -> (Range<usize>, usize) {
        let first = self
            .start
            .min(0)
            .unsigned_abs()
            .div_ceil(self.step)
            .min(count);
        let position = (self.start + (first * self.step) as isize) as usize;
        let room = size.saturating_sub(position).div_ceil(self.step);
        (first..first.saturating_add(room).min(count), position)
    }
}
