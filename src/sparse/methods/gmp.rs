//! Gradual magnitude pruning.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::setters::share;
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
/// | `begin` (t₀), `end` (t₁) | 1 % and 75 % of training by [`over`](Self::over), else to be given | first and last step that prune |
/// | `every` | a hundredth of training by `over`, else to be given | ≥ 1 |
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
    /// Last step that prunes; none until it is given.
    pub end: Option<u64>,
    /// Steps between.
    pub every: u64,
}

impl GradualMagnitude {
    /// Gradual pruning; say by [`over`](Self::over) how long training is, or by
    /// [`between`](Self::between) and [`every`](Self::every) when it prunes.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            budget: Budget::Global,
            begin: 0,
            end: None,
            every: 0,
        }
    }

    /// Prunes from 1 % to 75 % of so many training steps, at every hundredth part of training if no
    /// interval is [given](Self::every).
    pub fn over(mut self, steps: u64) -> Self {
        if self.every == 0 {
            self.every = (steps / 100).max(1);
        }
        self.between(steps / 100..=share(steps, 3, 4))
    }

    /// Sets the first and the last step that prune.
    ///
    /// ```
    /// use zosam::GradualMagnitude;
    /// let method = GradualMagnitude::new(0.9).between(0..=1000).every(100);
    /// assert_eq!(method.sparsity_at(1000), 0.9);
    /// ```
    pub fn between(mut self, steps: RangeInclusive<u64>) -> Self {
        self.begin = *steps.start();
        self.end = Some(*steps.end());
        self
    }

    /// Sets the number of steps between prunings.
    pub fn every(mut self, steps: u64) -> Self {
        self.every = steps;
        self
    }

    /// Sets over what weights compete.
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// The share of dead weights from a step on.
    pub fn sparsity_at(&self, step: u64) -> f64 {
        let end = self.end.unwrap_or(self.begin);
        if step >= end {
            return self.sparsity;
        }
        let length = end.saturating_sub(self.begin).max(1) as f64;
        let progress = step.saturating_sub(self.begin) as f64 / length;
        self.sparsity * (1.0 - Decay::Cubic.factor(progress))
    }
}

impl Recipe for GradualMagnitude {
    fn parts(&self, draw: Draw) -> Parts {
        let schedule = UpdateSchedule {
            begin: self.begin,
            end: self.end,
            last: self.end,
            ..UpdateSchedule::every(self.every)
        };
        let sparsity = self.sparsity_at(draw.step);
        Parts {
            budget: self.budget,
            first_sparsity: 0.0,
            exchange: Exchange::Bounds {
                drop_to: sparsity,
                grow_to: sparsity,
            },
            ..Parts::new("gmp", self.sparsity, schedule, draw)
        }
    }

    fn check(&self) -> Result<()> {
        match self.end.is_none_or(|end| self.begin <= end) {
            true => Ok(()),
            false => Err(Error::Config {
                field: "begin",
                value: self.begin.to_string(),
                valid: "at most `end`",
            }),
        }
    }
}
