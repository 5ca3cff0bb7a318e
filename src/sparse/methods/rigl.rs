//! RigL: drop by magnitude, grow by gradient.

use serde::{Deserialize, Serialize};

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
/// | `schedule.end` (T_end) | | usually 75 % of the training steps |
/// | `schedule.every` (ΔT) | 100 | ≥ 1 |
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
/// let method = RigL::new(0.9, 30_000)
///     .with_update_every(200)
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
    /// RigL with the paper's defaults; masks are frozen from step `t_end` on.
    pub fn new(sparsity: f64, t_end: u64) -> Self {
        Self {
            sparsity,
            distribution: Distribution::Erk,
            schedule: UpdateSchedule::new(100, t_end, 0.3),
            memory: GradientMemory::Batch,
        }
    }

    /// Sets the distribution over layers.
    pub fn with_distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }

    /// Sets the number of steps between updates, and of those before the first.
    pub fn with_update_every(mut self, every: u64) -> Self {
        self.schedule.every = every;
        self.schedule.begin = every;
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

    /// Sets the whole schedule.
    pub fn with_schedule(mut self, schedule: UpdateSchedule) -> Self {
        self.schedule = schedule;
        self
    }
}

impl Recipe for RigL {
    fn parts(&self, draw: Draw) -> Parts {
        let budget = Budget::PerLayer(self.distribution);
        Parts {
            grow: Box::new(GradientMagnitude),
            steps_when_due: false,
            memory: self.memory,
            ..Parts::new("rigl", self.sparsity, budget, self.schedule.clone(), draw)
        }
    }
}
