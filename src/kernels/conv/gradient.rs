//! The gradient of the live weights.

use std::ops::Range;

use rayon::prelude::*;

use super::super::products::{Strided, accumulate_row};
use super::super::scratch::{Scratch, Shared, tasks};
use super::super::shape::{examples, length};
use super::super::simd::{Job, Simd};
use super::structure::ConvStructure;
use crate::error::Result;

/// Parts of a batch whose sums are added at the end, in order. Fixed, so that results do not depend on the threads.
const PARTS: usize = 4;

/// Images are taken together until their planes fill this many vectors: sums are read and written once for all of them.
const VECTORS: usize = 64;

impl ConvStructure {
    /// Gradient of the live weights: `∂L/∂w[o, c, k] = Σ_{n, p} ∂L/∂y[n, o, p] · x[n, c, p · stride + k · dilation − padding]`.
    ///
    /// `input` is `[N, channels, height, width]`, `output_gradient` `[N, outputs, …]`, `weight_gradient` has the shape of the
    /// dense weights; all of it is written, zero where a weight is dead.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn weight_gradient(
        &self,
        input: &[f32],
        output_gradient: &[f32],
        weight_gradient: &mut [f32],
    ) -> Result<()> {
        let images = examples("the input", input, self.shape.inputs())?;
        let expected = images.saturating_mul(self.shape.outputs());
        length("the output gradient", output_gradient.len(), expected)?;
        length(
            "the weight gradient",
            weight_gradient.len(),
            self.shape.weights(),
        )?;
        let live = self.live();
        let parts = images.min(PARTS);
        let mut sums = vec![0.0; parts * live];
        let shared = Shared::new(&mut sums);
        let tasks = tasks(parts, self.shape.channels[1]);
        tasks.into_par_iter().for_each(|(parts_of_task, rows)| {
            for part in parts_of_task {
                self.instructions.run(Gradient {
                    structure: self,
                    input,
                    output_gradient,
                    images: images * part / parts..images * (part + 1) / parts,
                    rows: rows.clone(),
                    sums: shared,
                    first: part * live,
                });
            }
        });
        weight_gradient.fill(0.0);
        for (index, &position) in self.forward.parts[0].rows.positions.iter().enumerate() {
            let parts = (0..parts).map(|part| sums[part * live + index]);
            weight_gradient[position as usize] = parts.sum();
        }
        Ok(())
    }
}

/// Some images and some rows of the gradient.
struct Gradient<'a> {
    structure: &'a ConvStructure,
    input: &'a [f32],
    output_gradient: &'a [f32],
    images: Range<usize>,
    rows: Range<usize>,
    sums: Shared,
    /// Where the sums of this part of the batch begin.
    first: usize,
}

impl Job for Gradient<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let plane = &self.structure.forward.plane;
        let starts = &self.structure.forward.parts[0].rows.starts;
        let live = starts[self.rows.start]..starts[self.rows.end];
        let together = VECTORS
            .div_ceil(plane.vectors.max(1))
            .min(self.images.len());
        let lengths = [
            together * self.source_length(),
            together * plane.vectors * S::LANES,
            live.len() * S::LANES,
        ];
        let (mut scratch, ranges) = Scratch::take(lengths);
        let [source, gradient, totals] = scratch.arrays(ranges);
        let mut image = self.images.start;
        while image < self.images.end {
            let end = self.images.end.min(image + together);
            // SAFETY: the scratch has the sizes of `together` images; slices were checked to hold all images.
            unsafe { self.accumulate::<S>(image..end, source, gradient, totals) };
            image = end;
        }
        for (index, at) in live.enumerate() {
            // SAFETY: a vector per live weight of these rows; no other task writes their sums of this part.
            unsafe {
                let total = S::sum(S::load(totals.as_ptr().add(index * S::LANES)));
                *self.sums.pointer().add(self.first + at) = total;
            }
        }
    }
}

impl Gradient<'_> {
    /// Numbers in the packed planes of one image.
    fn source_length(&self) -> usize {
        let direction = &self.structure.forward;
        direction.channels * direction.plane.phases() * direction.plane.length
    }

    /// # Safety
    /// The scratch arrays have the sizes of these images; the CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn accumulate<S: Simd>(
        &self,
        images: Range<usize>,
        source: &mut [f32],
        gradient: &mut [f32],
        totals: &mut [f32],
    ) {
        let structure = self.structure;
        let plane = &structure.forward.plane;
        let rows = &structure.forward.parts[0].rows;
        let (count, run) = (images.len(), plane.vectors * S::LANES);
        // SAFETY: every index below is one of an image, channel or row that exists, on both sides.
        unsafe {
            for (index, image) in images.clone().enumerate() {
                let to = source.as_mut_ptr().add(index * self.source_length());
                self.pack(image, to);
            }
            for row in self.rows.clone() {
                for (index, image) in images.clone().enumerate() {
                    let outputs = plane.rows.outputs * plane.columns.outputs;
                    let from = (image * structure.shape.channels[1] + row) * outputs;
                    let from = self.output_gradient.as_ptr().add(from);
                    plane.pack_outputs(from, gradient.as_mut_ptr().add(index * run));
                }
                let first = rows.starts[row] - rows.starts[self.rows.start];
                accumulate_row::<S>(
                    &rows.offsets[rows.starts[row]..rows.starts[row + 1]],
                    Strided {
                        first: gradient.as_ptr(),
                        stride: run,
                    },
                    Strided {
                        first: source.as_ptr(),
                        stride: self.source_length(),
                    },
                    count,
                    plane.vectors,
                    totals.as_mut_ptr().add(first * S::LANES),
                );
            }
        }
    }

    /// # Safety
    /// `to` is valid for the planes of an image.
    #[inline(always)]
    unsafe fn pack(&self, image: usize, to: *mut f32) {
        let direction = &self.structure.forward;
        let size = direction.plane.rows.inputs * direction.plane.columns.inputs;
        for channel in 0..direction.channels {
            let from = (image * direction.channels + channel) * size;
            // SAFETY: the image's channel lies in the input, its planes at `to`.
            unsafe {
                let to = to.add(channel * direction.plane.phases() * direction.plane.length);
                direction.plane.pack(self.input.as_ptr().add(from), to);
            }
        }
    }
}
