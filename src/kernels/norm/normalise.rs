//! Normalisation, residual and ReLU in one pass, in the order of memory.

use rayon::prelude::*;

use super::super::scratch::{Place, places};
use super::super::shape::length;
use super::super::simd::{Job, Simd};
use super::sweep::{Access, Step, Sums, sweep};
use super::{BatchNorm, NormFactors};
use crate::error::Result;

/// Numbers of a task, at least: enough to pay for starting it.
const TASK: usize = 1 << 14;

impl BatchNorm {
    /// `y = relu(γ (x − μ) / √(σ² + ε) + β + residual)`, residual and ReLU optional.
    ///
    /// `input`, `residual` and `output` are `[N, channels, plane]`; all of the output is written.
    /// ReLU keeps NaN, as burn's does.
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
        length("the output", output.len(), input.len())?;
        // SAFETY: normalised numbers are written, and nothing else.
        let output = unsafe { places(output) };
        self.normalise_to(input, factors, residual, relu, output)
    }

    /// [`normalise`](Self::normalise) into a new vector.
    #[cfg(feature = "flex")]
    pub(crate) fn normalised(
        &self,
        input: &[f32],
        factors: NormFactors<'_>,
        residual: Option<&[f32]>,
        relu: bool,
    ) -> Result<Vec<f32>> {
        let write =
            |output: &mut [Place]| self.normalise_to(input, factors, residual, relu, output);
        // SAFETY: planes cover the input, and every number of every plane is written.
        unsafe { super::super::scratch::written(input.len(), write) }
    }

    /// To places as many as the input's numbers.
    fn normalise_to(
        &self,
        input: &[f32],
        factors: NormFactors<'_>,
        residual: Option<&[f32]>,
        relu: bool,
        output: &mut [Place],
    ) -> Result<()> {
        self.images(input)?;
        factors.check(self.channels)?;
        if let Some(residual) = residual {
            length("the residual", residual.len(), input.len())?;
        }
        let scales = &factors.scales()[..];
        let planes = TASK.div_ceil(self.plane);
        let numbers = planes * self.plane;
        let tasks = output.par_chunks_mut(numbers).enumerate();
        tasks.for_each(|(task, output)| {
            let range = task * numbers..task * numbers + output.len();
            self.instructions.run(Normalise {
                norm: *self,
                first: task * planes,
                input: &input[range.clone()],
                factors,
                scales,
                residual: residual.map(|residual| &residual[range]),
                relu,
                output,
            });
        });
        Ok(())
    }
}

/// Some planes in a row.
struct Normalise<'a> {
    norm: BatchNorm,
    /// The first plane, counted through all images.
    first: usize,
    input: &'a [f32],
    factors: NormFactors<'a>,
    scales: &'a [f32],
    residual: Option<&'a [f32]>,
    relu: bool,
    output: &'a mut [Place],
}

impl Job for Normalise<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let BatchNorm {
            channels, plane, ..
        } = self.norm;
        for at in 0..self.output.len() / plane {
            // SAFETY: all slices hold this plane; the caller vouches for the instructions.
            unsafe {
                let channel = (self.first + at) % channels;
                let step = Affine::<S> {
                    input: self.input.as_ptr(),
                    map: Map::new(&self.factors, channel, self.scales[channel]),
                    residual: self.residual.map(<[f32]>::as_ptr),
                    relu: self.relu,
                    output: self.output.as_mut_ptr().cast(),
                };
                sweep(&step, at * plane..(at + 1) * plane, &mut Sums::zero());
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
    pub(super) unsafe fn new(factors: &NormFactors<'_>, channel: usize, scale: f32) -> Self {
        // SAFETY: the caller's contract.
        unsafe {
            Self {
                minus_mean: S::splat(-factors.mean[channel]),
                scale: S::splat(scale),
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
