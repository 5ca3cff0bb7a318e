//! Means over the batches of a step.

use burn::tensor::Tensor;

use crate::tree::ParamVector;

/// What can be averaged.
pub(super) trait Linear {
    fn times(self, factor: f64) -> Self;
    fn plus(self, other: Self) -> Self;
}

impl Linear for ParamVector {
    fn times(self, factor: f64) -> Self {
        self.scaled(factor)
    }

    fn plus(self, other: Self) -> Self {
        self.plus_scaled(&other, 1.0)
    }
}

impl Linear for Tensor<1> {
    fn times(self, factor: f64) -> Self {
        self.mul_scalar(factor)
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }
}

/// `Σ wᵢ xᵢ / Σ wᵢ`, with the batches' numbers of samples as weights, or 1 where they are not
/// known.
pub(super) struct Mean<T> {
    sum: Option<T>,
    /// The first weight. Weights are relative to it, so that batches of one size are summed as they
    /// are and a single one stays as it is, to the bit.
    unit: f64,
    weights: f64,
    missing: bool,
}

impl<T> Default for Mean<T> {
    fn default() -> Self {
        Self {
            sum: None,
            unit: 0.0,
            weights: 0.0,
            missing: false,
        }
    }
}

impl<T: Linear> Mean<T> {
    /// Takes in what a batch of so many samples says, or that it says nothing.
    pub fn add(&mut self, value: Option<T>, samples: Option<usize>) {
        let Some(value) = value else {
            self.missing = true;
            return;
        };
        let weight = samples.unwrap_or(1) as f64;
        let Some(sum) = self.sum.take() else {
            (self.sum, self.unit, self.weights) = (Some(value), weight, 1.0);
            return;
        };
        let weight = weight / self.unit;
        self.weights += weight;
        self.sum = Some(match weight == 1.0 {
            true => sum.plus(value),
            false => sum.plus(value.times(weight)),
        });
    }

    /// The mean of what was said; `None` if nothing was.
    pub fn value(self) -> Option<T> {
        let sum = self.sum?;
        Some(match self.weights == 1.0 {
            true => sum,
            false => sum.times(1.0 / self.weights),
        })
    }

    /// The mean, if every batch had something to say.
    pub fn of_all(self) -> Option<T> {
        match self.missing {
            true => None,
            false => self.value(),
        }
    }
}
