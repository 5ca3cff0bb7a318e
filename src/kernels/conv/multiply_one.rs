//! The products with the weights for one image after the other.

use std::ops::Range;

use super::super::bounds::Bounds;
use super::super::plane::copy_run;
use super::super::rows::{Entry, Row, Tile, multiply_rows, tiles};
use super::super::scratch::{Scratch, Shared};
use super::super::simd::{Job, Simd};
use super::direction::{Direction, Part, Spread};
use super::epilogue::{Epilogue, start_of};

/// Some images and some rows of a product.
pub(super) struct MultiplyOne<'a> {
    pub(super) direction: &'a Direction,
    pub(super) entries: &'a [Vec<Entry>],
    pub(super) source: &'a [f32],
    pub(super) epilogue: Epilogue<'a>,
    pub(super) images: Range<usize>,
    pub(super) rows: Range<usize>,
    pub(super) target: Shared,
}

impl Job for MultiplyOne<'_> {
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
                self.pack::<S>(image, packed);
                if self.direction.fills {
                    self.fill(image);
                }
                for (part, entries) in self.direction.parts.iter().zip(self.entries) {
                    self.compute::<S>(part, entries, packed, results);
                    self.write::<S>(part, image, results);
                }
            }
        }
    }
}

impl MultiplyOne<'_> {
    /// # Safety
    /// `packed` holds all channels' planes.
    #[inline(always)]
    unsafe fn pack<S: Simd>(&self, image: usize, packed: &mut [f32]) {
        let plane = &self.direction.plane;
        let size = plane.rows.inputs * plane.columns.inputs;
        for channel in 0..self.direction.channels {
            let from = (image * self.direction.channels + channel) * size;
            let to = channel * plane.phases() * plane.length;
            // SAFETY: the image's channel lies in the source, its planes in the scratch.
            unsafe {
                let from = self.source.as_ptr().add(from);
                plane.pack::<S>(from, packed.as_mut_ptr().add(to));
            }
        }
    }

    /// What follows a sum of nothing, everywhere; parts with weights overwrite what they compute.
    ///
    /// # Safety
    /// The target holds these rows of this image; no other task writes them.
    unsafe fn fill(&self, image: usize) {
        let [height, width] = self.direction.size;
        let size = height * width;
        let Epilogue {
            bias,
            residual,
            bounds,
        } = self.epilogue;
        for row in self.rows.clone() {
            let start = bias.map_or(0.0, |bias| bias[row]);
            let first = (image * self.direction.targets + row) * size;
            for at in first..first + size {
                let value = start + residual.map_or(0.0, |residual| residual[at]);
                let value = bounds.of(value);
                // SAFETY: the caller's contract.
                unsafe { self.target.pointer().add(at).write(value) };
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
        let Direction {
            blocks, targets, ..
        } = self.direction;
        for (start, count) in tiles(plane.vectors) {
            for block in 0..*blocks {
                // SAFETY: the plane's length covers every vector at every offset.
                unsafe {
                    let from = packed.as_ptr().add(start * S::LANES);
                    let tile = Tile::line(from, [S::LANES; 2], count);
                    let to = results.as_mut_ptr().add(start * S::LANES);
                    multiply_rows::<S, false>(self.rows.clone(), part.rows.paired, tile, |row| {
                        let index = row - self.rows.start;
                        Row {
                            entries: part.rows.of(entries, block * targets + row),
                            start: start_of(block, self.epilogue.bias, row),
                            to: to.add(index * plane.vectors * S::LANES),
                        }
                    });
                }
            }
        }
    }

    /// # Safety
    /// `results` has the plane's size; no other task writes these rows of this image.
    #[inline(always)]
    unsafe fn write<S: Simd>(&self, part: &Part, image: usize, results: &[f32]) {
        let [height, width] = self.direction.size;
        let plane = &self.direction.plane;
        let lengths = results.len() / self.rows.len().max(1);
        let [down, across] = part.target;
        let (ys, first_y) = down.inside(plane.rows.outputs, height);
        let (xs, first_x) = across.inside(plane.columns.outputs, width);
        for (index, row) in self.rows.clone().enumerate() {
            let to = (image * self.direction.targets + row) * height * width;
            for (line, y) in ys.clone().enumerate() {
                let from = index * lengths + y * plane.pitch + xs.start;
                let from = &results[from..from + xs.len()];
                let at = to + (first_y + line * down.step) * width + first_x;
                // SAFETY: `inside` keeps the line in the target.
                unsafe { self.write_line::<S>(from, at, across.step) };
            }
        }
    }

    /// # Safety
    /// The target has the numbers `at, at + step, …` for all of `from`, and no other task writes
    /// them.
    #[inline(always)]
    unsafe fn write_line<S: Simd>(&self, from: &[f32], at: usize, step: usize) {
        if from.is_empty() {
            return;
        }
        let (residual, bounds) = (self.epilogue.residual, self.epilogue.bounds);
        let residual = residual.map(|residual| &residual[at..=at + (from.len() - 1) * step]);
        // SAFETY: the caller's contract; the residual was just cut to the target's numbers.
        unsafe {
            let to = self.target.pointer().add(at);
            match (step, residual) {
                (1, None) if bounds.is_none() => copy_run::<S>(from.as_ptr(), to, from.len()),
                (1, residual) => finish_run::<S>(from, residual.map(<[f32]>::as_ptr), bounds, to),
                _ => {
                    for (index, &value) in from.iter().enumerate() {
                        let value = value + residual.map_or(0.0, |residual| residual[index * step]);
                        let value = bounds.of(value);
                        *to.add(index * step) = value;
                    }
                }
            }
        }
    }
}

/// Writes `bounds(from + residual)`, the residual if there is one.
///
/// # Safety
/// `residual` and `to` are valid for as many numbers as `from`; the CPU has the instructions of
/// `S`.
#[inline(always)]
unsafe fn finish_run<S: Simd>(
    from: &[f32],
    residual: Option<*const f32>,
    bounds: Bounds,
    to: *mut f32,
) {
    // SAFETY: the caller's contract; vectors end at or before the last number.
    unsafe {
        let finish = |mut value: S::Vector, residual: Option<S::Vector>| {
            if let Some(residual) = residual {
                value = S::add(value, residual);
            }
            bounds.of_all::<S>(value)
        };
        let (numbers, count) = (from.as_ptr(), from.len());
        if count < S::LANES {
            let value = S::load_part(numbers, count, 0.0);
            let residual = residual.map(|residual| S::load_part(residual, count, 0.0));
            return S::store_part(to, count, finish(value, residual));
        }
        // The last vector may overlap with the one before.
        let starts = (0..count - S::LANES).step_by(S::LANES);
        for at in starts.chain([count - S::LANES]) {
            let residual = residual.map(|residual| S::load(residual.add(at)));
            S::store(to.add(at), finish(S::load(numbers.add(at)), residual));
        }
    }
}

impl Spread {
    /// The indices below `count` that have a target position below `size`, and the first such
    /// position.
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
