//! Sums of products in `f64`.
//!
//! Bounds: a sum of `n` products computed in `f32` is within `(n + 2) ε Σ |a b|` of the exact one, whatever the order, plus the
//! smallest normal number per product, for underflow.

use proptest::prelude::*;
use zosam::kernels::Bounds;

/// A sum in `f64` with what its rounding in `f32` may be.
#[derive(Clone, Copy, Default)]
pub struct Sum {
    value: f64,
    size: f64,
    terms: f64,
}

impl Sum {
    pub fn add(&mut self, a: f32, b: f32) {
        let product = f64::from(a) * f64::from(b);
        self.value += product;
        self.size += product.abs();
        self.terms += 1.0;
    }

    /// What its rounding in `f32` may be.
    fn bound(&self) -> f64 {
        (self.terms + 2.0) * (f64::from(f32::EPSILON) * self.size + f64::from(f32::MIN_POSITIVE))
    }

    /// As [`check`](Self::check), of a number that went through bounds.
    pub fn check_in(&self, bounds: Bounds, found: f32) -> Result<(), TestCaseError> {
        if bounds.most == Some(found) {
            let least = f64::from(found) - self.bound();
            // ReLU makes zero of less, which is then cut to a bound below.
            prop_assert!(self.value >= least || bounds.relu && found <= 0.0 || self.value.is_nan());
            return Ok(());
        }
        prop_assert!(
            bounds
                .most
                .is_none_or(|most| found < most || found.is_nan())
        );
        if bounds.relu && found == 0.0 {
            prop_assert!(
                self.value <= self.bound(),
                "ReLU made zero of {}",
                self.value
            );
            return Ok(());
        }
        prop_assert!(!bounds.relu || !found.is_sign_negative() || found.is_nan());
        self.check(found)
    }

    pub fn check(&self, found: f32) -> Result<(), TestCaseError> {
        let bound = self.bound();
        let found = f64::from(found);
        let same = match self.value.is_finite() {
            true => (found - self.value).abs() <= bound,
            false => found == self.value || found.is_nan() && self.value.is_nan(),
        };
        prop_assert!(same, "{found} is not {} ± {bound}", self.value);
        Ok(())
    }
}

/// Compares output, input gradient and weight gradient with the twin's.
pub fn check(twin: &[Vec<Sum>; 3], found: &[Vec<f32>; 3]) -> Result<(), TestCaseError> {
    for (sums, found) in twin.iter().zip(found) {
        for (sum, found) in sums.iter().zip(found) {
            sum.check(*found)?;
        }
    }
    Ok(())
}
