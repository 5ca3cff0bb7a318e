//! Gradients: the two sums of each channel, then those of the inputs.

use rayon::prelude::*;

use super::super::scratch::Shared;
use super::super::simd::{Job, Simd};
use super::chunk::{Chunk, channels_per_task};
use super::masked::{Mask, Masked, Open};
use super::normalise::Map;
use super::sweep::{Access, BLOCK, Step, Sums, sweep};
use super::{BatchNorm, NormFactors};

/// What the tasks share, on slices whose lengths were checked.
pub(super) struct Backward<'a> {
    pub(super) norm: BatchNorm,
    pub(super) images: usize,
    pub(super) input: &'a [f32],
    pub(super) output_gradient: &'a [f32],
    pub(super) factors: NormFactors<'a>,
    pub(super) scales: &'a [f32],
    pub(super) batch_statistics: bool,
    pub(super) input_gradient: Shared,
    pub(super) residual_gradient: Option<Shared>,
}

impl Backward<'_> {
    pub(super) fn run(&self, mask: impl Mask, gamma: &mut [f32], beta: &mut [f32]) {
        let BatchNorm {
            channels,
            plane,
            instructions,
        } = self.norm;
        let count = channels_per_task(channels, plane);
        let tasks = gamma.par_chunks_mut(count).zip(beta.par_chunks_mut(count));
        tasks.enumerate().for_each(|(index, (gamma, beta))| {
            let chunk = Chunk {
                images: self.images,
                of: channels,
                plane,
                first: index * count,
                count: gamma.len(),
            };
            instructions.run(Gradients {
                all: self,
                chunk,
                mask,
                gamma,
                beta,
            });
        });
    }
}

/// The gradients of some channels.
struct Gradients<'a, M> {
    all: &'a Backward<'a>,
    chunk: Chunk,
    mask: M,
    gamma: &'a mut [f32],
    beta: &'a mut [f32],
}

impl<M: Mask> Job for Gradients<'_, M> {
    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            self.sum::<S>();
            match self.all.residual_gradient {
                _ if !self.all.batch_statistics => {}
                // The masked gradient, which `sum` has written.
                Some(masked) => self.spread::<S, _>(masked.pointer(), Open),
                None => self.spread::<S, _>(self.all.output_gradient.as_ptr(), self.mask),
            }
        }
    }
}

impl<M: Mask> Gradients<'_, M> {
    /// The sums of each channel. Writes the gradient of the residual, and of the input where it
    /// needs no sums.
    ///
    /// # Safety
    /// The CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn sum<S: Simd>(&mut self) {
        let (chunk, all) = (self.chunk, self.all);
        // SAFETY: planes of the chunk lie in all slices, no other task writes them; the caller
        // vouches for the instructions.
        unsafe {
            let mut channels = Vec::with_capacity(chunk.count);
            for _ in 0..chunk.count {
                channels.push((Sums::<S>::zero(), [0.0; 2]));
            }
            for image in 0..chunk.images {
                for (channel, (block, totals)) in channels.iter_mut().enumerate() {
                    let channel = chunk.first + channel;
                    let step = Sum::<M, S> {
                        masked: self.masked(
                            channel,
                            all.output_gradient.as_ptr(),
                            self.mask,
                            chunk.image(),
                        ),
                        residual_gradient: all.residual_gradient.map(Shared::pointer),
                        scale: S::splat(all.scales[channel]),
                        input_gradient: (!all.batch_statistics)
                            .then_some(all.input_gradient.pointer()),
                    };
                    let plane = chunk.plane(image, channel - chunk.first);
                    for start in plane.clone().step_by(BLOCK) {
                        sweep(&step, start..plane.end.min(start + BLOCK), block);
                        if block.count >= BLOCK {
                            add(totals, block.take());
                        }
                    }
                }
            }
            for (channel, (block, totals)) in channels.iter_mut().enumerate() {
                add(totals, block.take());
                let inverse = all.factors.inverse_deviation(chunk.first + channel);
                self.beta[channel] = totals[0] as f32;
                self.gamma[channel] = (totals[1] * inverse) as f32;
            }
        }
    }

    /// The gradient of the input from the sums. Last images first: they are still in the cache.
    ///
    /// # Safety
    /// `gradient` is valid for the numbers of the output; the CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn spread<S: Simd, N: Mask>(&self, gradient: *const f32, mask: N) {
        let (chunk, all) = (self.chunk, self.all);
        let numbers = (chunk.images * chunk.plane) as f64;
        let mut factors = Vec::with_capacity(chunk.count);
        for channel in 0..chunk.count {
            let scale = f64::from(all.scales[chunk.first + channel]);
            let inverse = all.factors.inverse_deviation(chunk.first + channel);
            let slope = -scale * inverse * f64::from(self.gamma[channel]) / numbers;
            let shift = -scale * f64::from(self.beta[channel]) / numbers;
            factors.push([scale, slope, shift].map(|factor| factor as f32));
        }
        // SAFETY: planes of the chunk lie in all slices, no other task writes them; the caller
        // vouches for the instructions.
        unsafe {
            for image in (0..chunk.images).rev() {
                for (channel, &[scale, slope, shift]) in factors.iter().enumerate() {
                    let back = chunk.image().wrapping_neg();
                    let step = Spread::<N, S> {
                        masked: self.masked(chunk.first + channel, gradient, mask, back),
                        scale: S::splat(scale),
                        slope: S::splat(slope),
                        shift: S::splat(shift),
                        input_gradient: all.input_gradient.pointer(),
                    };
                    sweep(&step, chunk.plane(image, channel), &mut Sums::zero());
                }
            }
        }
    }

    /// # Safety
    /// The CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn masked<S: Simd, N: Mask>(
        &self,
        channel: usize,
        gradient: *const f32,
        mask: N,
        ahead: usize,
    ) -> Masked<N, S> {
        let all = self.all;
        Masked {
            input: all.input.as_ptr(),
            mean: all.factors.mean[channel],
            // SAFETY: the caller's contract.
            map: unsafe { Map::new(&all.factors, channel, all.scales[channel]) },
            gradient,
            mask,
            ahead,
        }
    }
}

fn add(totals: &mut [f64; 2], block: [f64; 2]) {
    totals[0] += block[0];
    totals[1] += block[1];
}

/// Sums `g′` and `g′ (x − μ)`; writes what needs no sums.
struct Sum<M, S: Simd> {
    masked: Masked<M, S>,
    residual_gradient: Option<*mut f32>,
    scale: S::Vector,
    /// For fixed statistics.
    input_gradient: Option<*mut f32>,
}

impl<M: Mask, S: Simd> Step<S> for Sum<M, S> {
    #[inline(always)]
    unsafe fn step<A: Access>(&self, at: usize, access: A, sums: &mut [S::Vector; 2]) {
        // SAFETY: the caller's contract.
        unsafe {
            let [deviation, gradient] = self.masked.load(at, access);
            sums[0] = S::add(sums[0], gradient);
            sums[1] = S::multiply_add(gradient, deviation, sums[1]);
            if let Some(to) = self.residual_gradient {
                access.store::<S>(to.add(at), gradient);
            }
            if let Some(to) = self.input_gradient {
                access.store::<S>(to.add(at), S::multiply(self.scale, gradient));
            }
        }
    }

    #[inline(always)]
    unsafe fn prefetch(&self, at: usize) {
        // SAFETY: the caller's contract.
        unsafe {
            self.masked
                .prefetch(at, self.residual_gradient.or(self.input_gradient));
        }
    }
}

/// Writes `scale · g′ + slope · (x − μ) + shift`.
struct Spread<M, S: Simd> {
    masked: Masked<M, S>,
    scale: S::Vector,
    slope: S::Vector,
    shift: S::Vector,
    input_gradient: *mut f32,
}

impl<M: Mask, S: Simd> Step<S> for Spread<M, S> {
    #[inline(always)]
    unsafe fn step<A: Access>(&self, at: usize, access: A, _: &mut [S::Vector; 2]) {
        // SAFETY: the caller's contract.
        unsafe {
            let [deviation, gradient] = self.masked.load(at, access);
            let rest = S::multiply_add(self.slope, deviation, self.shift);
            let result = S::multiply_add(self.scale, gradient, rest);
            access.store::<S>(self.input_gradient.add(at), result);
        }
    }

    #[inline(always)]
    unsafe fn prefetch(&self, at: usize) {
        // SAFETY: the caller's contract.
        unsafe { self.masked.prefetch(at, Some(self.input_gradient)) }
    }
}
