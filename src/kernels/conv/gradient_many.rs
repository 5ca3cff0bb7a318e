//! The gradient of the live weights from a vector of images at once.

use std::ops::Range;

use super::super::interleaved::transpose_in;
use super::super::products::{Strided, accumulate_row};
use super::super::simd::Simd;
use super::gradient::Gradient;

/// Vectors of a row's output gradient that are multiplied between a load and a store of sums.
const SPAN: usize = 64;

impl Gradient<'_> {
    /// Vectors of a band of the input and of the output gradient.
    pub(super) fn band(&self) -> [usize; 2] {
        let direction = &self.structure.forward;
        [
            direction.channels * direction.interleaved.channel,
            self.rows.len() * direction.interleaved.band * direction.size[1],
        ]
    }

    /// A vector of images, from `image` on.
    ///
    /// # Safety
    /// The scratch arrays have the sizes of a band; the CPU has the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn accumulate_many<S: Simd>(
        &self,
        image: usize,
        source: &mut [f32],
        gradient: &mut [f32],
        totals: &mut [f32],
    ) {
        let direction = &self.structure.forward;
        let interleaved = &direction.interleaved;
        let [height, width] = direction.size;
        let length = interleaved.band * width;
        // Whole rows where they are short, parts of a row where they are long.
        let rows_together = (SPAN / width).max(1);
        let parts = width.div_ceil(SPAN);
        for band in (0..height).step_by(interleaved.band) {
            let end = height.min(band + interleaved.band);
            // SAFETY: bands, rows and columns exist on both sides.
            unsafe {
                direction.pack_many::<S>(self.input, image, band, source);
                for (index, row) in self.rows.clone().enumerate() {
                    let from = (image * direction.targets + row) * height * width;
                    let from = self.output_gradient.as_ptr().add(from);
                    let positions = band * width..end * width;
                    let to = gradient.as_mut_ptr().add(index * length * S::LANES);
                    let stride = direction.targets * height * width;
                    transpose_in::<S>(from, stride, positions, height * width, to);
                }
                for row in (band..end).step_by(rows_together) {
                    let rows = rows_together.min(end - row);
                    for part in 0..parts {
                        let first = part * width / parts;
                        let columns = first..(part + 1) * width / parts;
                        self.accumulate_span::<S>(
                            [row - band, rows],
                            columns,
                            source,
                            gradient,
                            totals,
                        );
                    }
                }
            }
        }
    }

    /// Some rows of a band, some columns of them, all live weights.
    ///
    /// # Safety
    /// As for `accumulate_many`.
    #[inline(always)]
    unsafe fn accumulate_span<S: Simd>(
        &self,
        [first, count]: [usize; 2],
        columns: Range<usize>,
        source: &[f32],
        gradient: &[f32],
        totals: &mut [f32],
    ) {
        let direction = &self.structure.forward;
        let (interleaved, rows) = (&direction.interleaved, &direction.parts[0].rows);
        let width = direction.size[1];
        let mut totals = totals.as_mut_ptr();
        for block in 0..direction.blocks {
            for (index, segment) in self.segments(block).enumerate() {
                let offsets = &rows.interleaved[rows.starts[segment]..rows.starts[segment + 1]];
                let at = (index * interleaved.band + first) * width + columns.start;
                // SAFETY: the caller's contract.
                unsafe {
                    let gradient = Strided {
                        first: gradient.as_ptr().add(at * S::LANES),
                        stride: width * S::LANES,
                        step: S::LANES,
                    };
                    let at = interleaved.distance(first, columns.start);
                    let first = source.as_ptr().add(at * S::LANES);
                    let stride = interleaved.distance(1, 0) * S::LANES;
                    let vectors = columns.len();
                    match interleaved.column_step() {
                        1 => {
                            let source = Strided {
                                first,
                                stride,
                                step: S::LANES,
                            };
                            accumulate_row::<S>(offsets, gradient, source, count, vectors, totals);
                        }
                        step => {
                            let source = Strided {
                                first,
                                stride,
                                step: step * S::LANES,
                            };
                            accumulate_row::<S>(offsets, gradient, source, count, vectors, totals);
                        }
                    }
                    totals = totals.add(offsets.len() * S::LANES);
                }
            }
        }
    }
}
