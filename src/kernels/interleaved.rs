//! Planes of a block of images in which a lane is an image.
//!
//! Each position of a channel is a vector with that position's number of `LANES` images. Every load
//! is aligned, a stride is a step of more vectors, padding costs a vector of zeros, and no vector
//! hangs over the end of a row. A band of rows is packed at a time, so that it stays in the second
//! cache.

use std::ops::Range;

use super::simd::{MAX_LANES, Simd};

/// The planes of one direction of a convolution; all sizes in vectors.
#[derive(Clone, Debug)]
pub(crate) struct Interleaved {
    /// Rows and columns of the source.
    inputs: [usize; 2],
    /// The least shift of a weight on both axes.
    first: [isize; 2],
    /// Source rows and columns from one index of a run to the next.
    step: [usize; 2],
    /// Rows of the run in one band.
    pub(crate) band: usize,
    /// Source rows in one band.
    rows: usize,
    /// From one row to the next.
    pub(crate) pitch: usize,
    /// From one channel to the next.
    pub(crate) channel: usize,
}

/// Vectors of a band, all channels: three quarters of a second cache of 64 KiB per lane.
const BAND: usize = 12 << 10;

impl Interleaved {
    /// Planes for weights that read source `step · i + shift` at index `i < run`, for all the
    /// shifts of both axes.
    pub(crate) fn new(
        inputs: [usize; 2],
        run: [usize; 2],
        step: [usize; 2],
        shifts: [&[isize]; 2],
        channels: usize,
    ) -> Self {
        let first = shifts.map(|shifts| shifts.iter().copied().min().unwrap_or(0));
        let last = shifts.map(|shifts| shifts.iter().copied().max().unwrap_or(0));
        let size = |axis: usize, count: usize| {
            step[axis] * (count - 1) + (last[axis] - first[axis]) as usize + 1
        };
        let pitch = size(1, run[1]);
        let fits = |band: &usize| channels * size(0, *band) * pitch <= BAND;
        let most = (1..=run[0]).take_while(fits).last().unwrap_or(1);
        let band = run[0].div_ceil(run[0].div_ceil(most));
        Self {
            inputs,
            first,
            step,
            band,
            rows: size(0, band),
            pitch,
            // An odd number: channels at multiples of 4096 bytes would compete for the same cache
            // sets.
            channel: (size(0, band) * pitch) | 1,
        }
    }

    /// Positions of a channel of the source.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs[0] * self.inputs[1]
    }

    /// The distance of the weight with these shifts from the first position of a run.
    pub(crate) fn offset(&self, [row, column]: [isize; 2]) -> usize {
        (row - self.first[0]) as usize * self.pitch + (column - self.first[1]) as usize
    }

    /// Vectors that `columns` positions of a run's row read of one channel.
    pub(crate) fn window(&self, columns: usize) -> usize {
        let rows = self.rows - self.step[0] * (self.band - 1);
        rows * (self.pitch.min(self.step[1] * columns + 2))
    }

    /// The distance between two positions of a run.
    #[inline(always)]
    pub(crate) fn distance(&self, row: usize, column: usize) -> usize {
        row * self.step[0] * self.pitch + column * self.step[1]
    }

    /// Vectors from one position of a run's row to the next.
    #[inline(always)]
    pub(crate) fn column_step(&self) -> usize {
        self.step[1]
    }

    /// Packs what the rows from `start` on of a run read of one channel; padding on the sides stays
    /// as it is, zero.
    ///
    /// # Safety
    /// `from` is valid for the channel of `LANES` images at distance `stride`, `to` for the
    /// channel's vectors; the CPU has the instructions of `S`.
    #[inline(always)]
    pub(crate) unsafe fn pack<S: Simd>(
        &self,
        from: *const f32,
        stride: usize,
        start: usize,
        to: *mut f32,
    ) {
        let [height, width] = self.inputs;
        let begin = self.first[1].max(0) as usize;
        let end = (self.first[1] + self.pitch as isize).min(width as isize);
        let end = end.max(begin as isize);
        let left = (begin as isize - self.first[1]) as usize;
        for row in 0..self.rows {
            // SAFETY: columns `begin..end` of a source row that exists go to the row's columns from
            // `left` on.
            unsafe {
                let to = to.add(row * self.pitch * S::LANES);
                let source = (self.step[0] * start + row) as isize + self.first[0];
                if source < 0 || source >= height as isize {
                    std::slice::from_raw_parts_mut(to, self.pitch * S::LANES).fill(0.0);
                } else {
                    let columns =
                        source as usize * width + begin..source as usize * width + end as usize;
                    transpose_in::<S>(
                        from,
                        stride,
                        columns,
                        height * width,
                        to.add(left * S::LANES),
                    );
                }
            }
        }
    }
}

/// Vectors of the positions of a range, from `LANES` images of `size` positions at distance
/// `stride`.
///
/// # Safety
/// Both sides are valid for them; the CPU has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn transpose_in<S: Simd>(
    from: *const f32,
    stride: usize,
    positions: Range<usize>,
    size: usize,
    to: *mut f32,
) {
    let (mut at, mut to) = (positions.start, to);
    // SAFETY: whole squares lie in the range; the last, partial one is read from inside the image,
    // to a square of its own.
    unsafe {
        while at + S::LANES <= positions.end {
            S::transpose(from.add(at), stride, to, S::LANES);
            at += S::LANES;
            to = to.add(S::LANES * S::LANES);
        }
        if at == positions.end {
            return;
        }
        if size < S::LANES {
            for (index, at) in (at..positions.end).enumerate() {
                for lane in 0..S::LANES {
                    *to.add(index * S::LANES + lane) = *from.add(lane * stride + at);
                }
            }
            return;
        }
        let begin = at.min(size - S::LANES);
        let mut square = [0.0f32; MAX_LANES * MAX_LANES];
        S::transpose(from.add(begin), stride, square.as_mut_ptr(), S::LANES);
        for (index, at) in (at..positions.end).enumerate() {
            let vector = S::load(square.as_ptr().add((at - begin) * S::LANES));
            S::store(to.add(index * S::LANES), vector);
        }
    }
}

/// Numbers of `LANES` images at distance `stride`, from `count` vectors: the inverse of
/// [`transpose_in`].
///
/// # Safety
/// Both sides are valid for them; the CPU has the instructions of `S`.
#[inline(always)]
pub(crate) unsafe fn transpose_out<S: Simd>(
    from: *const f32,
    count: usize,
    to: *mut f32,
    stride: usize,
) {
    let mut at = 0;
    // SAFETY: whole squares lie in the vectors; a last square overlaps with the one before.
    unsafe {
        while at + S::LANES <= count {
            S::transpose(from.add(at * S::LANES), S::LANES, to.add(at), stride);
            at += S::LANES;
        }
        if at < count && count >= S::LANES {
            let at = count - S::LANES;
            S::transpose(from.add(at * S::LANES), S::LANES, to.add(at), stride);
            return;
        }
        for at in at..count {
            for lane in 0..S::LANES {
                *to.add(lane * stride + at) = *from.add(at * S::LANES + lane);
            }
        }
    }
}
