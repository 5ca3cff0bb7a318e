//! Normalisation, residual and ReLU in one pass.

use rayon::prelude::*;

use super::super::scratch::Shared;
use super::super::shape::length;
use super::super::simd::{Job, Simd};
use super::chunk::{Chunk, channels_per_task};
use super::sweep::{Access, Step, Sums, sweep};
use super::{BatchNorm, NormFactors};
use crate::error::Result;

impl BatchNorm {
    /// `y = relu(γ (x − μ) / √(σ² + ε) + β + residual)`, residual and ReLU optional.
    ///
    /// `input`, `residual` and `output` are `[N, channels, plane]`; all of the output is written. ReLU keeps NaN, as burn's does.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn normalise(
        &self,
        input: &[f32],
        factors: NormFactors<'_>,
        residual: Option<&[f32]>,
        relu: bool,
        output: &mut [f32],
    ) -> Result<()> {
        let images = self.images(input)?;
        factors.check(self.channels)?;
        if let Some(residual) = residual {
            length("the residual", residual.len(), input.len())?;
        }
        length("the output", output.len(), input.len())?;
        let output = Shared::new(output);
        let count = channels_per_task(self.channels, self.plane);
        let tasks = (0..self.channels).into_par_iter().step_by(count);
        tasks.for_each(|first| {
            let chunk = Chunk {
                images,
                of: self.channels,
                plane: self.plane,
                first,
                count: count.min(self.channels - first),
            };
            self.instructions.run(Normalise {
                chunk,
                input,
                factors,
                residual,
                relu,
                output,
            });
        });
        Ok(())
    }
}

struct Normalise<'a> {
    chunk: Chunk,
    input: &'a [f32],
    factors: NormFactors<'a>,
    residual: Option<&'a [f32]>,
    relu: bool,
    output: Shared,
}

impl Job for Normalise<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let chunk = self.chunk;
        // SAFETY: planes of the chunk lie in all slices, no other task writes them; the caller vouches for the instructions.
        unsafe {
            let mut none = Sums::<S>::zero();
            for image in 0..chunk.images {
                for channel in 0..chunk.count {
                    let step = Affine::<S> {
                        input: self.input.as_ptr(),
                        map: Map::new(&self.factors, chunk.first + channel),
                        residual: self.residual.map(<[f32]>::as_ptr),
                        relu: self.relu,
                        output: self.output.pointer(),
                    };
                    sweep(&step, chunk.plane(image, channel), &mut none);
                }
            }
        }
    }
}

/// The normalisation of a channel, in the form that every pass repeats to the bit.
pub(super) struct Map<S: Simd> {
    minus_mean: S::Vector,
    scale: S::Vector,
    shift: S::Vector,
}

impl<S: Simd> Map<S> {
    /// # Safety
    /// The CPU has the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn new(factors: &NormFactors<'_>, channel: usize) -> Self {
        // SAFETY: the caller's contract.
        unsafe {
            Self {
                minus_mean: S::splat(-factors.mean[channel]),
                scale: S::splat(factors.scale(channel) as f32),
                shift: S::splat(factors.beta[channel]),
            }
        }
    }

    /// `x − μ`. The mean goes first: folded into the shift it would round once more.
    ///
    /// # Safety
    /// As for `new`.
    #[inline(always)]
    pub(super) unsafe fn deviation(&self, input: S::Vector) -> S::Vector {
        // SAFETY: the caller's contract.
        unsafe { S::add(input, self.minus_mean) }
    }

    /// The output for a deviation.
    ///
    /// # Safety
    /// As for `new`.
    #[inline(always)]
    pub(super) unsafe fn output(&self, deviation: S::Vector) -> S::Vector {
        // SAFETY: the caller's contract.
        unsafe { S::multiply_add(deviation, self.scale, self.shift) }
    }
}

struct Affine<S: Simd> {
    input: *const f32,
    map: Map<S>,
    residual: Option<*const f32>,
    relu: bool,
    output: *mut f32,
}

impl<S: Simd> Step<S> for Affine<S> {
    #[inline(always)]
    unsafe fn step<A: Access>(&self, at: usize, access: A, _: &mut [S::Vector; 2]) {
        // SAFETY: the caller's contract.
        unsafe {
            let input = access.load::<S>(self.input.add(at), 0.0);
            let mut output = self.map.output(self.map.deviation(input));
            if let Some(residual) = self.residual {
                output = S::add(output, access.load::<S>(residual.add(at), 0.0));
            }
            if self.relu {
                output = S::pass_positive(output, output);
            }
            access.store::<S>(self.output.add(at), output);
        }
    }
}
