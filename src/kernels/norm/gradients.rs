//! Gradients: the two sums of each channel, then those of the inputs.

use rayon::prelude::*;

use super::super::scratch::Shared;
use super::super::shape::length;
use super::super::simd::{Job, Simd};
use super::chunk::{Chunk, channels_per_task};
use super::normalise::Map;
use super::sweep::{Access, BLOCK, Step, Sums, sweep};
use super::{BatchNorm, NormFactors};
use crate::error::Result;

/// Where the gradient of the output passes: everywhere, or where the output of a ReLU was positive (or NaN, as in burn).
#[derive(Clone, Copy, Debug, Default)]
pub enum GradientMask<'a> {
    /// There was no ReLU.
    #[default]
    None,
    /// A ReLU and no residual: which outputs were positive is computed again, to the bit, and the output is not read.
    Recomputed,
    /// A ReLU, with or without residual: this was the output.
    Output(&'a [f32]),
}

/// Where gradients go; all of each slice is written.
#[derive(Debug)]
pub struct NormGradients<'a> {
    /// Of the input, `[N, channels, plane]`.
    pub input: &'a mut [f32],
    /// Of the residual, `[N, channels, plane]`: the gradient of the output where the mask passes it.
    pub residual: Option<&'a mut [f32]>,
    /// Of `γ`, one number per channel.
    pub gamma: &'a mut [f32],
    /// Of `β`, one number per channel.
    pub beta: &'a mut [f32],
}

impl BatchNorm {
    /// All gradients, given `g = ∂L/∂y`, both `[N, channels, plane]`.
    ///
    /// With `x̂ = (x − μ) / √(σ² + ε)`, `g′ = g` where the mask passes and zero elsewhere, and sums over the `n` numbers of
    /// a channel: `∂L/∂β = Σ g′`, `∂L/∂γ = Σ g′ x̂`, `∂L/∂residual = g′`, and
    /// `∂L/∂x = γ / √(σ² + ε) (g′ − ∂L/∂β / n − x̂ ∂L/∂γ / n)` if mean and variance are those of the batch
    /// (`batch_statistics`), or `γ / √(σ² + ε) g′` if they are fixed.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn gradients(
        &self,
        input: &[f32],
        output_gradient: &[f32],
        factors: NormFactors<'_>,
        mask: GradientMask<'_>,
        batch_statistics: bool,
        into: NormGradients<'_>,
    ) -> Result<()> {
        let images = self.images(input)?;
        let numbers = input.len();
        length("the output gradient", output_gradient.len(), numbers)?;
        factors.check(self.channels)?;
        if let GradientMask::Output(output) = mask {
            length("the output", output.len(), numbers)?;
        }
        length("the input gradient", into.input.len(), numbers)?;
        if let Some(residual) = &into.residual {
            length("the residual gradient", residual.len(), numbers)?;
        }
        length("the gradient of gamma", into.gamma.len(), self.channels)?;
        length("the gradient of beta", into.beta.len(), self.channels)?;
        let input_gradient = Shared::new(into.input);
        let residual_gradient = into.residual.map(Shared::new);
        let count = channels_per_task(self.channels, self.plane);
        let sums = into
            .gamma
            .par_chunks_mut(count)
            .zip(into.beta.par_chunks_mut(count));
        sums.enumerate().for_each(|(index, (gamma, beta))| {
            let chunk = Chunk {
                images,
                of: self.channels,
                plane: self.plane,
                first: index * count,
                count: gamma.len(),
            };
            self.instructions.run(Gradients {
                chunk,
                input,
                output_gradient,
                factors,
                mask,
                batch_statistics,
                input_gradient,
                residual_gradient,
                gamma,
                beta,
            });
        });
        Ok(())
    }
}

struct Gradients<'a> {
    chunk: Chunk,
    input: &'a [f32],
    output_gradient: &'a [f32],
    factors: NormFactors<'a>,
    mask: GradientMask<'a>,
    batch_statistics: bool,
    input_gradient: Shared,
    residual_gradient: Option<Shared>,
    gamma: &'a mut [f32],
    beta: &'a mut [f32],
}

impl Job for Gradients<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            self.sum::<S>();
            if self.batch_statistics {
                self.spread::<S>();
            }
        }
    }
}

impl Gradients<'_> {
    /// The sums of each channel. Writes the gradient of the residual, and of the input where it needs no sums.
    ///
    /// # Safety
    /// The CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn sum<S: Simd>(&mut self) {
        let chunk = self.chunk;
        // SAFETY: planes of the chunk lie in all slices, no other task writes them; the caller vouches for the instructions.
        unsafe {
            let mut channels = Vec::with_capacity(chunk.count);
            for _ in 0..chunk.count {
                channels.push((Sums::<S>::zero(), [0.0; 2]));
            }
            for image in 0..chunk.images {
                for (channel, (block, totals)) in channels.iter_mut().enumerate() {
                    let fixed = S::splat(self.factors.scale(chunk.first + channel) as f32);
                    let step = Sum {
                        masked: self.masked(channel, self.mask),
                        residual_gradient: self.residual_gradient.map(Shared::pointer),
                        fixed: (!self.batch_statistics)
                            .then(|| (fixed, self.input_gradient.pointer())),
                    };
                    let plane = chunk.plane(image, channel);
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
                let inverse = self.factors.inverse_deviation(chunk.first + channel);
                self.beta[channel] = totals[0] as f32;
                self.gamma[channel] = (totals[1] * inverse) as f32;
            }
        }
    }

    /// The gradient of the input from the sums. Last images first: they are still in the cache.
    ///
    /// # Safety
    /// The CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn spread<S: Simd>(&self) {
        let chunk = self.chunk;
        let numbers = (chunk.images * chunk.plane) as f64;
        // SAFETY: planes of the chunk lie in all slices, no other task writes them; the caller vouches for the instructions.
        unsafe {
            for image in (0..chunk.images).rev() {
                for channel in 0..chunk.count {
                    let mut masked = self.masked::<S>(channel, self.mask);
                    if let Some(residual) = self.residual_gradient {
                        // It is the masked gradient, which `sum` has written.
                        masked.mask = GradientMask::None;
                        masked.gradient = residual.pointer();
                    }
                    let scale = self.factors.scale(chunk.first + channel);
                    let inverse = self.factors.inverse_deviation(chunk.first + channel);
                    let [gamma, beta] =
                        [&self.gamma, &self.beta].map(|g| f64::from(g[channel]) / numbers);
                    let step = Spread {
                        masked,
                        scale: S::splat(scale as f32),
                        slope: S::splat((-scale * inverse * gamma) as f32),
                        shift: S::splat((-scale * beta) as f32),
                        input_gradient: self.input_gradient.pointer(),
                    };
                    sweep(&step, chunk.plane(image, channel), &mut Sums::zero());
                }
            }
        }
    }

    /// # Safety
    /// The CPU has the instructions of `S`.
    #[inline(always)]
    unsafe fn masked<'a, S: Simd>(&self, channel: usize, mask: GradientMask<'a>) -> Masked<'a, S> {
        let channel = self.chunk.first + channel;
        Masked {
            input: self.input.as_ptr(),
            mean: self.factors.mean[channel],
            // SAFETY: the caller's contract.
            map: unsafe { Map::new(&self.factors, channel) },
            gradient: self.output_gradient.as_ptr(),
            mask,
        }
    }
}

fn add(totals: &mut [f64; 2], block: [f64; 2]) {
    totals[0] += block[0];
    totals[1] += block[1];
}

/// `x − μ` and `g′`.
struct Masked<'a, S: Simd> {
    input: *const f32,
    mean: f32,
    map: Map<S>,
    gradient: *const f32,
    mask: GradientMask<'a>,
}

impl<S: Simd> Masked<'_, S> {
    /// # Safety
    /// As for [`Step::step`].
    #[inline(always)]
    unsafe fn load<A: Access>(&self, at: usize, access: A) -> [S::Vector; 2] {
        // SAFETY: the caller's contract. Lanes that are filled up are zero in both.
        unsafe {
            let deviation = self
                .map
                .deviation(access.load::<S>(self.input.add(at), self.mean));
            let gradient = access.load::<S>(self.gradient.add(at), 0.0);
            let gate = match self.mask {
                GradientMask::None => return [deviation, gradient],
                GradientMask::Recomputed => self.map.output(deviation),
                GradientMask::Output(output) => access.load::<S>(output.as_ptr().add(at), 0.0),
            };
            [deviation, S::pass_positive(gate, gradient)]
        }
    }
}

/// Sums `g′` and `g′ (x − μ)`.
struct Sum<'a, S: Simd> {
    masked: Masked<'a, S>,
    residual_gradient: Option<*mut f32>,
    /// For fixed statistics: the scale, and where the gradient of the input goes.
    fixed: Option<(S::Vector, *mut f32)>,
}

impl<S: Simd> Step<S> for Sum<'_, S> {
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
            if let Some((scale, to)) = self.fixed {
                access.store::<S>(to.add(at), S::multiply(scale, gradient));
            }
        }
    }
}

/// Writes `scale · g′ + slope · (x − μ) + shift`.
struct Spread<'a, S: Simd> {
    masked: Masked<'a, S>,
    scale: S::Vector,
    slope: S::Vector,
    shift: S::Vector,
    input_gradient: *mut f32,
}

impl<S: Simd> Step<S> for Spread<'_, S> {
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
}
