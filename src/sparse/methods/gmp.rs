//! Gradual magnitude pruning.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sparse::parts::{Budget, Decay, Draw, Exchange, Parts, Recipe, UpdateSchedule};

/// Starts dense and removes the smallest weights little by little.
///
/// `s_t = s · (1 − (1 − (t − t₀)/(t₁ − t₀))³)`: most of the pruning happens early, while the net
/// can recover.
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1) |
/// | `budget` | global | |
/// | `begin` (t₀), `end` (t₁) | | first and last step that prune |
/// | `every` | | ≥ 1 |
///
/// Zhu & Gupta, "To prune, or not to prune", 2017 (arXiv 1710.01878), which prunes each layer to
/// the same sparsity: `with_budget(Budget::PerLayer(Distribution::Uniform))`. The last step prunes
/// to `sparsity`, also where `every` does not divide the interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GradualMagnitude {
    /// Share of dead weights at the end.
    pub sparsity: f64,
    /// Over what weights compete.
    pub budget: Budget,
    /// First step that prunes.
    pub begin: u64,
    /// Last step that prunes.
    pub end: u64,
    /// Steps between.
    pub every: u64,
}

impl GradualMagnitude {
    /// Prunes every `every` steps from step `begin` to step `end`.
    pub fn new(sparsity: f64, begin: u64, end: u64, every: u64) -> Self {
        Self {
            sparsity,
            budget: Budget::Global,
            begin,
            end,
            every,
        }
    }

    /// Sets over what weights compete.
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// The share of dead weights from a step on.
    pub fn sparsity_at(&self, step: u64) -> f64 {
        if step >= self.end {
            return self.sparsity;
        }
        let length = self.end.saturating_sub(self.begin).max(1) as f64;
        let progress = step.saturating_sub(self.begin) as f64 / length;
        self.sparsity * (1.0 - Decay::Cubic.factor(progress))
    }
}

impl Recipe for GradualMagnitude {
    fn parts(&self, draw: Draw) -> Parts {
        let schedule = UpdateSchedule {
            begin: self.begin,
            last: Some(self.end),
            ..UpdateSchedule::constant(self.every, self.end, 0.0)
        };
        let sparsity = self.sparsity_at(draw.step);
        Parts {
            first_sparsity: 0.0,
            exchange: Exchange::Bounds {
                drop_to: sparsity,
                grow_to: sparsity,
            },
            ..Parts::new("gmp", self.sparsity, self.budget, schedule, draw)
        }
    }

    fn check(&self) -> Result<()> {
        match self.begin <= self.end {
            true => Ok(()),
            false => Err(Error::Config {
                field: "begin",
                value: self.begin.to_string(),
                valid: "at most `end`",
            }),
        }
    }
}
