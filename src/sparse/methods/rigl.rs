//! RigL: drop by magnitude, grow by gradient.

use serde::{Deserialize, Serialize};

use super::setters::{schedule_setters, share};
use crate::sparse::parts::{
    Budget, Distribution, Draw, GradientMagnitude, GradientMemory, Parts, Recipe, UpdateSchedule,
};

/// Starts from random masks and every ΔT steps exchanges, in each layer, the live weights of
/// smallest magnitude for the dead ones of largest gradient.
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1) |
/// | `distribution` | ERK | |
/// | `schedule.end` (T_end) | 75 % of the training steps, which [`over`](Self::over) is told | |
/// | `schedule.every` (ΔT) | 100; by `over` at most a twentieth of training | ≥ 1 |
/// | `schedule.fraction` (α) | 0.3 | [0, 1] |
/// | `schedule.decay` | cosine | |
/// | `memory` | the gradient of one batch | |
///
/// Evci et al., "Rigging the Lottery: Making All Tickets Winners", ICML 2020 (arXiv 1911.11134). As
/// in the authors' code, a step that changes masks takes no optimizer step, a weight just dropped
/// may grow again, and grown weights start at 0 with fresh optimizer state. With a perturbation the
/// gradient is the one at `θ + ε`, which the step has computed anyway.
///
/// ```
/// use zosam::sparse::{Distribution, RigL};
/// let method = RigL::new(0.9)
///     .over(40_000)
///     .every(200)
///     .with_drop_fraction(0.5)
///     .with_distribution(Distribution::Uniform);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RigL {
    /// Share of dead weights.
    pub sparsity: f64,
    /// Density of each layer.
    pub distribution: Distribution,
    /// When masks change, and how much.
    pub schedule: UpdateSchedule,
    /// Over how many batches the gradient that grows weights is summed.
    #[serde(default)]
    pub memory: GradientMemory,
}

impl RigL {
    /// RigL with the paper's defaults; say by [`over`](Self::over) how long training is.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            distribution: Distribution::Erk,
            schedule: UpdateSchedule::every(0),
            memory: GradientMemory::Batch,
        }
    }

    /// Sets the distribution over layers.
    pub fn with_distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }

    /// Freezes masks after three quarters of so many training steps, as in the paper.
    ///
    /// If no interval is [given](Self::every), it is the paper's 100 steps or a twentieth of
    /// training, whichever is shorter: a run of a few hundred steps would see no change else.
    pub fn over(mut self, steps: u64) -> Self {
        let every = (steps / 20).clamp(1, 100);
        self.schedule = self.schedule.filled(every, share(steps, 3, 4));
        self
    }

    /// Sets the share of live weights exchanged at the start.
    pub fn with_drop_fraction(mut self, fraction: f64) -> Self {
        self.schedule.fraction = fraction;
        self
    }

    /// Sets over how many batches the gradient that grows weights is summed.
    pub fn with_memory(mut self, memory: GradientMemory) -> Self {
        self.memory = memory;
        self
    }
}

schedule_setters!(RigL, 100);

impl Recipe for RigL {
    fn parts(&self, draw: Draw) -> Parts {
        Parts {
            budget: Budget::PerLayer(self.distribution),
            grow: Box::new(GradientMagnitude),
            steps_when_due: false,
            memory: self.memory,
            ..Parts::new("rigl", self.sparsity, self.schedule.clone(), draw)
        }
    }
}
