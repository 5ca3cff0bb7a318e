//! The products with the weights for a vector of images at once.

use std::ops::Range;

use super::super::interleaved::transpose_out;
use super::super::rows::{Entry, Row, Tile, multiply_rows, tiles};
use super::super::scratch::{Scratch, Shared};
use super::super::simd::{Job, Simd};
use super::direction::{Direction, Part};
use super::epilogue::start_of;

/// Positions of a plane that go out together: in shorter pieces, scattered over as many places as
/// there are channels and images, writing takes up to twice as long.
const GROUP: usize = 128;

/// Some images, whole vectors of them, and some rows of a product.
pub(super) struct MultiplyMany<'a> {
    pub(super) direction: &'a Direction,
    pub(super) entries: &'a [Vec<Entry>],
    pub(super) source: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    pub(super) images: Range<usize>,
    pub(super) rows: Range<usize>,
    pub(super) target: Shared,
}

impl Job for MultiplyMany<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Direction {
            interleaved,
            channels,
            size: [height, width],
            step,
            ..
        } = self.direction;
        let group = GROUP.div_ceil(step[0] * width).min(interleaved.band);
        let results = self.rows.len() * group * step[0] * width;
        let lengths = [channels * interleaved.channel, results].map(|n| n * S::LANES);
        let (mut scratch, ranges) = Scratch::take(lengths);
        let [packed, results] = scratch.arrays(ranges);
        let run = height.div_ceil(step[0]);
        for image in self.images.clone().step_by(S::LANES) {
            for band in (0..run).step_by(interleaved.band) {
                // SAFETY: the scratch has a band and a group; slices were checked to hold all
                // images.
                unsafe {
                    self.direction
                        .pack_many::<S>(self.source, image, band, packed);
                    let end = run.min(band + interleaved.band);
                    for first in (band..end).step_by(group) {
                        let rows = first..end.min(first + group);
                        self.compute::<S>(rows.clone(), band, packed, results);
                        self.write::<S>(rows, image, results);
                    }
                }
            }
        }
    }
}

impl MultiplyMany<'_> {
    /// Tile by tile, all rows of each.
    ///
    /// # Safety
    /// `packed` holds the band, `results` a group; the CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn compute<S: Simd>(
        &self,
        run: Range<usize>,
        band: usize,
        packed: &[f32],
        results: &mut [f32],
    ) {
        let Direction {
            size: [height, width],
            step,
            parts,
            ..
        } = self.direction;
        for (part, entries) in parts.iter().zip(self.entries) {
            // A part without weights leaves its zeros in the results.
            if entries.is_empty() && parts.len() > 1 {
                continue;
            }
            for row in run.clone() {
                let target = step[0] * (row - run.start) + part.phase[0];
                if step[0] * row + part.phase[0] >= *height {
                    continue;
                }
                let columns = width.saturating_sub(part.phase[1]).div_ceil(step[1]);
                for (start, count) in tiles(columns) {
                    let to = target * width + step[1] * start + part.phase[1];
                    // SAFETY: the caller's contract.
                    unsafe {
                        let from = self.direction.interleaved.distance(row - band, start);
                        let from = packed.as_ptr().add(from * S::LANES);
                        self.tile::<S>(part, entries, from, to, count, results);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As for `compute`: `from` is the tile's first vector, `to` the place of its first in a row of
    /// the results.
    #[inline(always)]
    unsafe fn tile<S: Simd>(
        &self,
        part: &Part,
        entries: &[Entry],
        from: *const f32,
        to: usize,
        count: usize,
        results: &mut [f32],
    ) {
        let Direction {
            interleaved,
            blocks,
            targets,
            step,
            ..
        } = self.direction;
        let length = results.len() / self.rows.len().max(1);
        // SAFETY: the caller's contract.
        unsafe {
            let to = results.as_mut_ptr().add(to * S::LANES);
            for block in 0..*blocks {
                let row = |row: usize| Row {
                    entries: part.rows.of(entries, block * targets + row),
                    start: start_of(block, self.bias, row),
                    to: to.add((row - self.rows.start) * length),
                };
                let tile = |from_step: usize| {
                    Tile::line(from, [from_step * S::LANES, step[1] * S::LANES], count)
                };
                // A step that the compiler knows keeps addresses out of registers.
                let (rows, paired) = (self.rows.clone(), part.rows.paired);
                match interleaved.column_step() {
                    1 => multiply_rows::<S, false>(rows, paired, tile(1), row),
                    step => multiply_rows::<S, false>(rows, paired, tile(step), row),
                }
            }
        }
    }

    /// # Safety
    /// `results` holds these rows of the run; no other task writes them.
    #[inline(always)]
    unsafe fn write<S: Simd>(&self, run: Range<usize>, image: usize, results: &[f32]) {
        let Direction {
            size: [height, width],
            step,
            targets,
            ..
        } = self.direction;
        let lines = step[0] * run.start..(step[0] * run.end).min(*height);
        let length = results.len() / self.rows.len().max(1);
        for (index, row) in self.rows.clone().enumerate() {
            let to = ((image * targets + row) * height + lines.start) * width;
            // SAFETY: the lines lie in the target's row, of `LANES` images.
            unsafe {
                let from = results.as_ptr().add(index * length);
                let to = self.target.pointer().add(to);
                transpose_out::<S>(from, lines.len() * width, to, targets * height * width);
            }
        }
    }
}
