//! SViTE: sparse vision transformers.

use serde::{Deserialize, Serialize};

use super::setters::{schedule_setters, share};
use crate::sparse::parts::{
    Budget, Distribution, Draw, GradientMagnitude, Parts, Recipe, UpdateSchedule,
};

/// Drops by magnitude and grows by gradient, at the long intervals that transformers want.
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1), published for 0.5 to 0.7 |
/// | `distribution` | ERK | |
/// | `schedule.every` | a twentieth of training by [`over`](Self::over), else to be given | ≥ 1; 15,000 to 20,000 for DeiT-Tiny and -Small, 6,000 to 7,000 for -Base |
/// | `schedule.end` | 80 % of training by `over`, else to be given | |
/// | `schedule.fraction` | 0.5, to 0.005 along a cosine | [0, 1] |
///
/// Chen et al., "Chasing Sparsity in Vision Transformers", NeurIPS 2021 (arXiv 2106.04533): the
/// unstructured method. Masks change after the optimizer's step, with its gradient, as in the
/// authors' code. That code leaves the moments of AdamW alone when masks change and draws each
/// position of the first masks on its own; here state of dropped and grown weights is zero and
/// counts are exact. By default the weights of all convolutions and linear layers are sparse, the
/// classifier's too, as there; class and position tokens are not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Svite {
    /// Share of dead weights.
    pub sparsity: f64,
    /// Density of each layer.
    pub distribution: Distribution,
    /// When masks change, and how much.
    pub schedule: UpdateSchedule,
}

impl Svite {
    /// SViTE; say by [`over`](Self::over) how long training is, or by [`every`](Self::every) and
    /// [`until`](Self::until) when masks change.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            distribution: Distribution::Erk,
            schedule: UpdateSchedule::every(0)
                .with_fraction(0.5)
                .with_last_fraction(0.005),
        }
    }

    /// Freezes masks after 80 % of so many training steps, as in the paper, and changes them at
    /// every twentieth part of training if no interval is [given](Self::every).
    pub fn over(mut self, steps: u64) -> Self {
        let end = share(steps, 4, 5);
        self.schedule = self.schedule.filled((steps / 20).max(1), end);
        self
    }

    /// Sets the distribution over layers.
    pub fn with_distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }
}

schedule_setters!(Svite);

impl Recipe for Svite {
    fn parts(&self, draw: Draw) -> Parts {
        Parts {
            budget: Budget::PerLayer(self.distribution),
            grow: Box::new(GradientMagnitude),
            ..Parts::new("svite", self.sparsity, self.schedule.clone(), draw)
        }
    }
}
