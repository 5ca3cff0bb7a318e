//! GELU of a training step, and its gradient.

use rayon::prelude::*;

use super::activation::{decay, erf};
use super::scratch::fewest;
use super::shape::length;
use super::simd::{Instructions, Job, Simd};
use crate::error::Result;

/// Numbers of a task, and what one takes in multiply-adds, roughly.
const PART: usize = 4096;
const WORK: usize = 16;

/// `to = x Φ(x)`, `Φ` the normal distribution function.
///
/// # Errors
/// Slices of two lengths.
pub(crate) fn gelu(from: &[f32], to: &mut [f32]) -> Result<()> {
    length("the output", to.len(), from.len())?;
    let parts = to.par_chunks_mut(PART).zip(from.par_chunks(PART));
    parts
        .with_min_len(fewest(WORK * PART))
        .for_each(|(to, from)| Instructions::detect().run(Value { from, to }));
    Ok(())
}

/// `to = g (Φ(x) + x φ(x))`, `φ` the normal density and `g` the output's gradient.
///
/// # Errors
/// Slices of several lengths.
pub(crate) fn gelu_gradient(from: &[f32], output: &[f32], to: &mut [f32]) -> Result<()> {
    length("the output's gradient", output.len(), from.len())?;
    length("the gradient", to.len(), from.len())?;
    let parts = to.par_chunks_mut(PART).zip(from.par_chunks(PART));
    parts
        .zip(output.par_chunks(PART))
        .with_min_len(fewest(WORK * PART))
        .for_each(|((to, from), output)| Instructions::detect().run(Gradient { from, output, to }));
    Ok(())
}

struct Value<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Job for Value<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (to, x) in self.to.iter_mut().zip(self.from) {
            *to = super::activation::gelu(*x);
        }
    }
}

struct Gradient<'a> {
    from: &'a [f32],
    output: &'a [f32],
    to: &'a mut [f32],
}

impl Job for Gradient<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (to, (x, output)) in self.to.iter_mut().zip(self.from.iter().zip(self.output)) {
            *to = output * slope(*x);
        }
    }
}

/// `Φ(x) + x φ(x)`.
#[inline(always)]
fn slope(x: f32) -> f32 {
    use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
    // φ(0) = 1 / √(2 π).
    const DENSITY: f32 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2 / 2.0;
    let below = 0.5 * (1.0 + erf(FRAC_1_SQRT_2 * x));
    // Beyond, the density is below the least number, but `decay` ends above it.
    let near = x.clamp(-13.0, 13.0);
    below + near * DENSITY * decay(-0.5 * near * near)
}

#[cfg(test)]
mod tests {
    use super::super::activation::tests::series;
    use super::*;

    /// By the series of erf in `f64`. Beyond the rounding of erf, 4e-7 at most, there is that of a product and a sum.
    #[test]
    fn the_gradient_is_the_slope() {
        let from: Vec<f32> = (-600..=600).map(|i| i as f32 / 100.0).collect();
        let mut found = vec![0.0; from.len()];
        gelu_gradient(&from, &vec![2.0; from.len()], &mut found).unwrap();
        for (found, x) in found.iter().zip(&from) {
            let x = f64::from(*x);
            let below = 0.5 * (1.0 + series(x * std::f64::consts::FRAC_1_SQRT_2));
            let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let exact = 2.0 * (below + x * density);
            assert!(
                (f64::from(*found) - exact).abs() < 1e-6,
                "{x}: {found}, {exact}"
            );
        }
        let mut short = [0.0; 3];
        gelu(&from, &mut short).unwrap_err();
        gelu_gradient(&from, &from[1..], &mut found).unwrap_err();
    }

    /// Far out the normal density is zero and not what a product with it makes of large numbers.
    #[test]
    fn far_numbers_have_slopes_of_zero_and_one() {
        let from = [-1e20, -100.0, 100.0, 1e18, f32::NAN];
        let mut to = [0.0; 5];
        gelu_gradient(&from, &[1.0; 5], &mut to).unwrap();
        assert!(to[4].is_nan());
        for (found, exact) in to.iter().zip([0.0, 0.0, 1.0, 1.0]) {
            assert!((found - exact).abs() < 1e-6, "{to:?}");
        }
    }
}
