//! Mean and variance of each channel.
//!
//! One pass, in blocks: deviations from the mean of the block before are summed in `f32`, blocks
//! are merged in `f64` (Chan, Golub and LeVeque). The block before is a good guess on average over
//! the blocks whatever the data, so that no digits are lost where the mean is large beside the
//! deviation: `Σ (shift − block mean)² ≤ 6 Σ (x − mean)²`.

use rayon::prelude::*;

use super::super::shape::length;
use super::super::simd::{Job, Simd};
use super::chunk::{Chunk, channels_per_task};
use super::sweep::{Access, BLOCK, Step, Sums, sweep};
use super::{BatchNorm, no_images};
use crate::error::Result;

impl BatchNorm {
    /// Mean and biased variance of each channel over images and planes.
    ///
    /// `input` is `[N, channels, plane]`, `mean` and `variance` have one number per channel.
    /// Accurate also where the mean is large beside the deviation. A channel with a number that is
    /// not finite has a variance that is not finite; deviations beyond 1e19 overflow.
    ///
    /// # Errors
    /// A slice of the wrong length, or no images.
    pub fn statistics(&self, input: &[f32], mean: &mut [f32], variance: &mut [f32]) -> Result<()> {
        let images = self.images(input)?;
        if images == 0 {
            return Err(no_images());
        }
        length("the mean", mean.len(), self.channels)?;
        length("the variance", variance.len(), self.channels)?;
        let count = channels_per_task(self.channels, self.plane);
        let outputs = mean
            .par_chunks_mut(count)
            .zip(variance.par_chunks_mut(count));
        outputs.enumerate().for_each(|(index, (mean, variance))| {
            let chunk = Chunk {
                images,
                of: self.channels,
                plane: self.plane,
                first: index * count,
                count: mean.len(),
            };
            self.instructions.run(Statistics {
                chunk,
                input,
                mean,
                variance,
            });
        });
        Ok(())
    }
}

struct Statistics<'a> {
    chunk: Chunk,
    input: &'a [f32],
    mean: &'a mut [f32],
    variance: &'a mut [f32],
}

impl Job for Statistics<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let chunk = self.chunk;
        // SAFETY: planes of the chunk lie in the input; the caller vouches for the instructions.
        unsafe {
            let mut channels = Vec::with_capacity(chunk.count);
            for channel in 0..chunk.count {
                channels.push(Channel::<S>::new(&self.input[chunk.plane(0, channel)]));
            }
            for image in 0..chunk.images {
                for (channel, state) in channels.iter_mut().enumerate() {
                    state.add(&self.input[chunk.plane(image, channel)], chunk.image());
                }
            }
            for (channel, state) in channels.iter_mut().enumerate() {
                state.merge();
                self.mean[channel] = state.mean as f32;
                self.variance[channel] = (state.squares / state.count as f64) as f32;
            }
        }
    }
}

/// What was seen of a channel.
struct Channel<S: Simd> {
    /// Sums of the deviations from the shift and of their squares, in the block at hand.
    block: Sums<S>,
    shift: f32,
    /// Numbers, their mean and the sum of squared deviations from it, in the blocks before.
    count: usize,
    mean: f64,
    squares: f64,
}

impl<S: Simd> Channel<S> {
    /// Shifted by the mean of the first numbers.
    ///
    /// # Safety
    /// The CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn new(plane: &[f32]) -> Self {
        // SAFETY: the caller's contract; the numbers lie in the plane.
        unsafe {
            let mut first = Self {
                block: Sums::zero(),
                shift: 0.0,
                count: 0,
                mean: 0.0,
                squares: 0.0,
            };
            first.sweep(&plane[..plane.len().min(BLOCK)], 0);
            let count = first.block.count as f64;
            let [sum, _] = first.block.take();
            first.set_shift(sum / count);
            first
        }
    }

    /// # Safety
    /// As for `new`.
    #[inline(always)]
    unsafe fn add(&mut self, plane: &[f32], ahead: usize) {
        for piece in plane.chunks(BLOCK) {
            // SAFETY: the caller's contract.
            unsafe {
                self.sweep(piece, ahead);
                // The first blocks are small, so that a shift by an unlikely first number does not
                // last.
                if self.block.count >= BLOCK.min(self.count) {
                    self.merge();
                }
            }
        }
    }

    /// # Safety
    /// As for `new`.
    #[inline(always)]
    unsafe fn sweep(&mut self, piece: &[f32], ahead: usize) {
        // SAFETY: the step reads the piece.
        unsafe {
            let step = Deviations::<S> {
                input: piece.as_ptr(),
                ahead,
                shift: self.shift,
                minus_shift: S::splat(-self.shift),
            };
            sweep(&step, 0..piece.len(), &mut self.block);
        }
    }

    /// Ends the block.
    ///
    /// # Safety
    /// As for `new`.
    #[inline(always)]
    unsafe fn merge(&mut self) {
        if self.block.count == 0 {
            return;
        }
        let (before, count) = (self.count as f64, self.block.count as f64);
        self.count += self.block.count;
        // SAFETY: the caller's contract.
        let [sum, squares] = unsafe { self.block.take() };
        let (offset, total) = (sum / count, before + count);
        let mean = f64::from(self.shift) + offset;
        let step = mean - self.mean;
        self.mean += step * (count / total);
        // Rounding may leave less than nothing; NaN must stay.
        let own = squares - sum * offset;
        self.squares += if own < 0.0 { 0.0 } else { own };
        self.squares += step * step * (before * count / total);
        self.set_shift(mean);
    }

    #[inline(always)]
    fn set_shift(&mut self, mean: f64) {
        let shift = mean as f32;
        // An infinite shift would make NaN of the numbers after it.
        self.shift = if shift.is_finite() { shift } else { 0.0 };
    }
}

/// Sums `x − shift` and `(x − shift)²`.
struct Deviations<S: Simd> {
    input: *const f32,
    ahead: usize,
    shift: f32,
    minus_shift: S::Vector,
}

impl<S: Simd> Step<S> for Deviations<S> {
    #[inline(always)]
    unsafe fn step<A: Access>(&self, at: usize, access: A, sums: &mut [S::Vector; 2]) {
        // SAFETY: the caller's contract. Lanes that are filled up deviate by zero.
        unsafe {
            let input = access.load::<S>(self.input.add(at), self.shift);
            let deviation = S::add(input, self.minus_shift);
            sums[0] = S::add(sums[0], deviation);
            sums[1] = S::multiply_add(deviation, deviation, sums[1]);
        }
    }

    #[inline(always)]
    unsafe fn prefetch(&self, at: usize) {
        // SAFETY: the caller's contract.
        unsafe { S::prefetch(self.input.wrapping_add(at + self.ahead)) }
    }
}
