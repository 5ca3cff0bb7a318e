//! Magnitude pruning at initialisation.

use serde::{Deserialize, Serialize};

use crate::sparse::parts::{Budget, Draw, Magnitude, Parts, Recipe};

/// Keeps the largest weights of the model it is attached to, and never changes masks.
///
/// On fresh weights this is a weak baseline, since their size says little; on a trained model it is
/// one-shot pruning with the training that follows as fine-tuning.
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

impl Recipe for MagnitudeStatic {
    fn parts(&self, draw: Draw) -> Parts {
        Parts {
            budget: self.budget,
            start: Box::new(Magnitude),
            ..Parts::once("magnitude", self.sparsity, draw)
        }
    }
}
