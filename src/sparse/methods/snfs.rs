//! Sparse networks from scratch: growth and redistribution by momentum.

use serde::{Deserialize, Serialize};

use super::setters::schedule_setters;
use crate::sparse::parts::{
    Budget, Distribution, Draw, GradientMagnitude, GradientMemory, Parts, Recipe, Redistribution,
    UpdateSchedule,
};

/// Drops by magnitude and grows by the momentum of the gradient, in the layers where momentum is
/// largest.
///
/// A layer's share of the places is its mean `|momentum|` over live weights. The momentum is the
/// method's own, `m ← 0.9 m + g` over dense gradients, whatever the base optimizer keeps.
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1) |
/// | `distribution` (at the start) | uniform | |
/// | `schedule.every` | a hundredth of training by [`over`](Self::over), else to be given | ≥ 1, usually one epoch |
/// | `schedule.end` | the end of training by `over`, else to be given | |
/// | `schedule.fraction` | 0.5, to 0 along a cosine | [0, 1] |
/// | `decay` | 0.9 | [0, 1) |
///
/// Dettmers & Zettlemoyer, "Sparse Networks from Scratch: Faster Training without Losing
/// Performance", 2019 (arXiv 1907.04840). Counts are rounded down, where the authors' code rounds
/// up and tolerates counts that drift; the number of live weights is exact here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snfs {
    /// Share of dead weights.
    pub sparsity: f64,
    /// Density of each layer at the start.
    pub distribution: Distribution,
    /// When masks change, and how much.
    pub schedule: UpdateSchedule,
    /// Share of the momentum that stays from step to step.
    pub decay: f64,
}

impl Snfs {
    /// Sparse momentum; say by [`over`](Self::over) how long training is, or by
    /// [`every`](Self::every) and [`until`](Self::until) when masks change.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            distribution: Distribution::Uniform,
            schedule: UpdateSchedule::every(0).with_fraction(0.5),
            decay: 0.9,
        }
    }

    /// Changes masks to the end of so many training steps, a hundred times if no interval is
    /// [given](Self::every): the paper changes them once an epoch.
    pub fn over(mut self, steps: u64) -> Self {
        self.schedule = self.schedule.filled((steps / 100).max(1), steps);
        self
    }

    /// Sets the distribution over layers at the start.
    pub fn with_distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }
}

schedule_setters!(Snfs);

impl Recipe for Snfs {
    fn parts(&self, draw: Draw) -> Parts {
        Parts {
            budget: Budget::PerLayer(self.distribution),
            grow: Box::new(GradientMagnitude),
            redistribution: Redistribution::ByGradient,
            memory: GradientMemory::Momentum { decay: self.decay },
            ..Parts::new("snfs", self.sparsity, self.schedule.clone(), draw)
        }
    }
}
