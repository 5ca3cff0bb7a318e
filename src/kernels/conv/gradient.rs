//! The gradient of the live weights.

use std::ops::Range;

use rayon::prelude::*;

use super::super::products::{Strided, accumulate_row};
use super::super::scratch::{Scratch, Shared, tasks};
use super::super::shape::{examples, length};
use super::super::simd::{Job, Simd};
use super::structure::ConvStructure;
use crate::error::Result;

/// Parts of a batch whose sums are added at the end, in order. Fixed, so that results do not depend
/// on the threads.
const PARTS: usize = 4;

/// Images are taken together until their planes fill this many vectors: sums are read and written
/// once for all of them.
const VECTORS: usize = 64;

impl ConvStructure {
    /// Gradient of the live weights:
    /// `∂L/∂w[o, c, k] = Σ_{n, p} ∂L/∂y[n, o, p] · x[n, c, p · stride + k · dilation − padding]`.
    ///
    /// `input` is `[N, channels, height, width]`, `output_gradient` `[N, outputs, …]`,
    /// `weight_gradient` has the shape of the dense weights; all of it is written, zero where a
    /// weight is dead.
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
pub(super) struct Gradient<'a> {
    pub(super) structure: &'a ConvStructure,
    pub(super) input: &'a [f32],
    pub(super) output_gradient: &'a [f32],
    images: Range<usize>,
    pub(super) rows: Range<usize>,
    sums: Shared,
    /// Where the sums of this part of the batch begin.
    first: usize,
}

impl Job for Gradient<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let direction = &self.structure.forward;
        let starts = &direction.parts[0].rows.starts;
        let segments = || (0..direction.blocks).map(|block| self.segments(block));
        let live = segments()
            .map(|s| starts[s.end] - starts[s.start])
            .sum::<usize>();
        // A vector of images at once as long as there are enough, the others one by one.
        let many = match direction.interleaves {
            true => self.images.len() / S::LANES * S::LANES,
            false => 0,
        };
        let whole = self.images.start + many;
        let together = VECTORS
            .div_ceil(direction.plane.vectors.max(1))
            .min(self.images.end - whole);
        let mut lengths = [
            together * self.source_length(),
            together * direction.plane.vectors * S::LANES,
            live * S::LANES,
        ];
        if many > 0 {
            let band = self.band().map(|vectors| vectors * S::LANES);
            lengths = [lengths[0].max(band[0]), lengths[1].max(band[1]), lengths[2]];
        }
        let (mut scratch, ranges) = Scratch::take(lengths);
        let [source, gradient, totals] = scratch.arrays(ranges);
        for image in (self.images.start..whole).step_by(S::LANES) {
            // SAFETY: the scratch has the sizes of a band; slices were checked to hold all images.
            unsafe { self.accumulate_many::<S>(image, source, gradient, totals) };
        }
        if many > 0 && whole < self.images.end {
            // Where the other layout has its padding, this one has left numbers.
            source.fill(0.0);
            gradient.fill(0.0);
        }
        let mut image = whole;
        while image < self.images.end {
            let end = self.images.end.min(image + together);
            // SAFETY: the scratch has the sizes of `together` images; slices were checked to hold
            // all images.
            unsafe { self.accumulate::<S>(image..end, source, gradient, totals) };
            image = end;
        }
        let positions = segments().flat_map(|s| starts[s.start]..starts[s.end]);
        for (index, at) in positions.enumerate() {
            // SAFETY: a vector per live weight of these rows; no other task writes their sums of
            // this part.
            unsafe {
                let total = S::sum(S::load(totals.as_ptr().add(index * S::LANES)));
                *self.sums.pointer().add(self.first + at) = total;
            }
        }
    }
}

impl Gradient<'_> {
    /// This task's rows in a block of channels.
    #[inline(always)]
    pub(super) fn segments(&self, block: usize) -> Range<usize> {
        let first = block * self.structure.forward.targets;
        first + self.rows.start..first + self.rows.end
    }

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
        let direction = &self.structure.forward;
        let (plane, rows) = (&direction.plane, &direction.parts[0].rows);
        let (count, run) = (images.len(), plane.vectors * S::LANES);
        // SAFETY: every index below is one of an image, channel or row that exists, on both sides.
        unsafe {
            for (index, image) in images.clone().enumerate() {
                let to = source.as_mut_ptr().add(index * self.source_length());
                self.pack::<S>(image, to);
            }
            let mut totals = totals.as_mut_ptr();
            for segment in (0..direction.blocks).flat_map(|block| self.segments(block)) {
                let row = segment % direction.targets;
                for (index, image) in images.clone().enumerate() {
                    let outputs = plane.rows.outputs * plane.columns.outputs;
                    let from = (image * direction.targets + row) * outputs;
                    let from = self.output_gradient.as_ptr().add(from);
                    plane.pack_outputs::<S>(from, gradient.as_mut_ptr().add(index * run));
                }
                let offsets = &rows.offsets[rows.starts[segment]..rows.starts[segment + 1]];
                let gradient = Strided {
                    first: gradient.as_ptr(),
                    stride: run,
                    step: S::LANES,
                };
                let source = Strided {
                    first: source.as_ptr(),
                    stride: self.source_length(),
                    step: S::LANES,
                };
                accumulate_row::<S>(offsets, gradient, source, count, plane.vectors, totals);
                totals = totals.add(offsets.len() * S::LANES);
            }
        }
    }

    /// # Safety
    /// `to` is valid for the planes of an image.
    #[inline(always)]
    unsafe fn pack<S: Simd>(&self, image: usize, to: *mut f32) {
        let direction = &self.structure.forward;
        let size = direction.plane.rows.inputs * direction.plane.columns.inputs;
        for channel in 0..direction.channels {
            let from = (image * direction.channels + channel) * size;
            // SAFETY: the image's channel lies in the input, its planes at `to`.
            unsafe {
                let to = to.add(channel * direction.plane.phases() * direction.plane.length);
                direction.plane.pack::<S>(self.input.as_ptr().add(from), to);
            }
        }
    }
}
