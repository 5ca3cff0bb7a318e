//! SET: drop by magnitude, grow at random.

use serde::{Deserialize, Serialize};

use super::setters::schedule_setters;
use crate::sparse::parts::{
    Budget, Decay, Distribution, Draw, MagnitudeBySign, Parts, Recipe, Regrown, UpdateSchedule,
};

/// Exchanges, in each layer, the live weights of smallest magnitude for random dead ones.
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1) |
/// | `distribution` | ERK | |
/// | `schedule.every` | a hundredth of training by [`over`](Self::over), else to be given | ≥ 1, usually one epoch |
/// | `schedule.end` | the end of training by `over`, else to be given | |
/// | `schedule.fraction` (ζ) | 0.3, constant | [0, 1] |
/// | `by_sign` | `false` | |
/// | `regrown` | zero | |
///
/// Mocanu et al., "Scalable training of artificial neural networks with adaptive sparse
/// connectivity", 2018 (arXiv 1707.04780), in the form that convolutional nets are trained with
/// since DSR and RigL: weights are dropped by `|w|`, grown ones are 0, and masks change beside the
/// optimizer's step. The first code's ways are options: `by_sign` drops the share ζ of positive and
/// of negative weights apart, `regrown` draws grown weights from `N(0, 0.1²)`. ER for fully
/// connected nets: set `distribution`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Set {
    /// Share of dead weights.
    pub sparsity: f64,
    /// Density of each layer.
    pub distribution: Distribution,
    /// When masks change, and how much.
    pub schedule: UpdateSchedule,
    /// Whether positive and negative weights are dropped apart.
    #[serde(default)]
    pub by_sign: bool,
    /// The value of a weight that has just grown.
    #[serde(default)]
    pub regrown: Regrown,
}

impl Set {
    /// SET; say by [`over`](Self::over) how long training is, or by [`every`](Self::every) and
    /// [`until`](Self::until) when masks change.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            distribution: Distribution::Erk,
            schedule: UpdateSchedule::every(0).with_decay(Decay::Constant),
            by_sign: false,
            regrown: Regrown::Zero,
        }
    }

    /// The settings of In-Time Over-Parameterization: half of the weights, falling to 0.5 % along a
    /// cosine.
    ///
    /// Liu et al., "Do We Actually Need Dense Over-Parameterization?", ICML 2021 (arXiv
    /// 2102.02887), which changes masks every 1,500 steps on CIFAR. Its exploration meter is in
    /// every method's [report](crate::sparse::SparsityReport).
    pub fn itop(sparsity: f64) -> Self {
        Self {
            schedule: UpdateSchedule::every(0)
                .with_fraction(0.5)
                .with_last_fraction(0.005),
            ..Self::new(sparsity)
        }
    }

    /// Changes masks to the end of so many training steps, a hundred times if no interval is
    /// [given](Self::every): papers change them about once an epoch.
    pub fn over(mut self, steps: u64) -> Self {
        self.schedule = self.schedule.filled((steps / 100).max(1), steps);
        self
    }

    /// Sets the distribution over layers.
    pub fn with_distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }

    /// Drops the same share of positive and of negative weights.
    pub fn by_sign(mut self) -> Self {
        self.by_sign = true;
        self
    }

    /// Sets the value of a weight that has just grown.
    pub fn with_regrown(mut self, regrown: Regrown) -> Self {
        self.regrown = regrown;
        self
    }
}

schedule_setters!(Set);

impl Recipe for Set {
    fn parts(&self, draw: Draw) -> Parts {
        let parts = Parts::new("set", self.sparsity, self.schedule.clone(), draw);
        Parts {
            budget: Budget::PerLayer(self.distribution),
            drop: match self.by_sign {
                true => Box::new(MagnitudeBySign),
                false => parts.drop,
            },
            regrown: self.regrown,
            ..parts
        }
    }
}
