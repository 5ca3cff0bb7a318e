//! The formulas in `f64`, and how far `f32` may be from them.
//!
//! Sums are within half an `ε` of `Σ |term|` per addition that a number goes through, see [`sum_bound`].

use proptest::prelude::*;

use super::case::{Case, Results};

pub const EPSILON: f64 = f32::EPSILON as f64;

/// The relative bound of a sum over planes of this size. In a block of 1024 numbers, or up to 2047 where planes are larger, a number
/// is added to those of its lane, of which there are at least 8; planes begin at the first lane. 3 additions join the lanes,
/// 5 roundings come before or after; sums of blocks are `f64`.
pub fn sum_bound(plane: usize) -> f64 {
    let additions = match plane {
        ..=1024 => 1024usize.div_ceil(plane) * (plane / 8 + 1),
        _ => 2048 / 8 + 2,
    };
    (additions + 8) as f64 * EPSILON / 2.0
}

/// Underflow, with room for what multiplies it.
const TINY: f64 = 1e-36;

impl Case {
    /// Mean and variance of a channel.
    fn moments(&self, channel: usize) -> (f64, f64) {
        let numbers = self.numbers_of(channel).map(|at| f64::from(self.input[at]));
        let count = (self.images * self.plane) as f64;
        let mean = numbers.clone().sum::<f64>() / count;
        (
            mean,
            numbers.map(|x| (x - mean).powi(2)).sum::<f64>() / count,
        )
    }

    /// Compares everything with the formulas, each pass given what the pass before returned.
    pub fn check(&self, found: &Results) -> Result<(), TestCaseError> {
        let count = (self.images * self.plane) as f64;
        let sum_bound = sum_bound(self.plane);
        for channel in 0..self.channels {
            let (mean, variance) = self.moments(channel);
            let deviation = variance.sqrt();
            // Deviations are from a shift that is within √6 deviations of the mean on average, see the kernel.
            close(
                "mean",
                found.mean[channel],
                mean,
                EPSILON * mean.abs() + 3.5 * sum_bound * deviation,
            )?;
            let shift = (EPSILON * mean).powi(2);
            close(
                "variance",
                found.variance[channel],
                variance,
                7.0 * sum_bound * (variance + shift),
            )?;

            let mean = f64::from(found.mean[channel]);
            let inverse = 1.0 / (f64::from(found.variance[channel]) + self.epsilon).sqrt();
            let gamma = f64::from(self.gamma[channel]);
            let beta = f64::from(self.beta[channel]);
            let normal = |at: usize| (f64::from(self.input[at]) - mean) * inverse;
            for at in self.numbers_of(channel) {
                let residual = self.residual.as_ref().map_or(0.0, |r| f64::from(r[at]));
                let scaled = gamma * normal(at);
                let sum = scaled + beta + residual;
                let size = scaled.abs() + beta.abs() + residual.abs();
                let expected = if self.relu { sum.max(0.0) } else { sum };
                close("output", found.output[at], expected, 4.0 * EPSILON * size)?;
            }

            let masked = |at: usize| match self.relu && found.output[at] <= 0.0 {
                true => 0.0,
                false => f64::from(self.gradient[at]),
            };
            let numbers = self.numbers_of(channel);
            let shifts = numbers.clone().map(masked).sum::<f64>();
            let shift_error = sum_bound * numbers.clone().map(|at| masked(at).abs()).sum::<f64>();
            let scales = numbers
                .clone()
                .map(|at| masked(at) * normal(at))
                .sum::<f64>();
            let scale_error = sum_bound
                * numbers
                    .clone()
                    .map(|at| (masked(at) * normal(at)).abs())
                    .sum::<f64>();
            close(
                "beta gradient",
                found.beta_gradient[channel],
                shifts,
                shift_error,
            )?;
            close(
                "gamma gradient",
                found.gamma_gradient[channel],
                scales,
                scale_error,
            )?;
            for at in numbers {
                if self.residual.is_some() {
                    prop_assert_eq!(f64::from(found.residual_gradient[at]), masked(at));
                }
                let scale = gamma * inverse;
                let (expected, bound) = match self.batch_statistics {
                    false => (masked(at), 2.0 * EPSILON * masked(at).abs()),
                    true => (
                        masked(at) - shifts / count - normal(at) * scales / count,
                        4.0 * EPSILON
                            * (masked(at).abs()
                                + (shifts.abs() + normal(at).abs() * scales.abs()) / count)
                            + (shift_error + normal(at).abs() * scale_error) / count,
                    ),
                };
                close(
                    "input gradient",
                    found.input_gradient[at],
                    scale * expected,
                    scale.abs() * bound,
                )?;
            }
        }
        Ok(())
    }
}

fn close(what: &str, found: f32, expected: f64, bound: f64) -> Result<(), TestCaseError> {
    let error = (f64::from(found) - expected).abs();
    prop_assert!(
        error <= bound + TINY,
        "{what}: {found} is not {expected} ± {bound}"
    );
    Ok(())
}
