//! Magnitude pruning at initialisation.

use serde::{Deserialize, Serialize};

use super::random::check_sparsity;
use super::{Budget, Magnitude, SparsityMethod, Weight, one_shot};
use crate::error::Result;
use crate::masks::LiveSet;

/// Keeps the largest weights of the model it is attached to, and never changes masks.
///
/// On fresh weights this is a weak baseline, since their size says little; on a trained model it is one-shot
/// pruning with the training that follows as fine-tuning.
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1) |
/// | `budget` | global | |
///
/// A global budget favours layers with few inputs, whose weights are drawn larger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MagnitudeStatic {
    /// Share of dead weights.
    pub sparsity: f64,
    /// Over what weights compete.
    pub budget: Budget,
}

impl MagnitudeStatic {
    /// One budget for all layers: exactly `round((1 − S) N)` live weights.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            budget: Budget::Global,
        }
    }

    /// Sets over what weights compete.
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}

impl SparsityMethod for MagnitudeStatic {
    fn name(&self) -> &'static str {
        "magnitude"
    }

    fn validate(&self) -> Result<()> {
        check_sparsity(self.sparsity)
    }

    fn sparsity(&self) -> f64 {
        self.sparsity
    }

    fn target_densities(&self, shapes: &[Vec<usize>]) -> Result<Option<Vec<f64>>> {
        self.budget.densities(shapes, self.sparsity)
    }

    fn takes_layer_densities(&self) -> bool {
        true
    }

    fn initial(&mut self, weights: &[Weight], _seed: u64) -> Result<Vec<LiveSet>> {
        one_shot(weights, &Magnitude, self.sparsity, self.budget)
    }
}
