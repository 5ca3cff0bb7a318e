//! MEST: elastic mutation with a soft memory bound.

use serde::{Deserialize, Serialize};

use super::setters::share;
use crate::error::{Error, Result, check};
use crate::sparse::parts::{
    Budget, Distribution, Draw, Exchange, GradientMagnitude, Importance, Magnitude, Parts, Recipe,
    UpdateSchedule,
};

/// Which dead weights MEST grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MestGrowth {
    /// Random ones, as in the authors' code. The default.
    #[default]
    Random,
    /// Those with the largest gradient.
    Gradient,
}

/// Sparsities between which masks mutate before a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MestPhase {
    /// First step after the phase.
    pub until: u64,
    /// Share of dead weights after the drop.
    pub drop_to: f64,
    /// Share of dead weights after the growth, at most `drop_to`.
    pub grow_to: f64,
}

/// Drops the least important weights and grows others, by less and less.
///
/// Importance is `|w| + λ |∂L/∂w|` over live weights. *EM* drops below the budget and grows back to
/// it; *EM&S* grows beyond the budget, trains the larger net, and drops back. In the authors' three
/// phases (until 90/160 and 120/160 of training, and to its end):
///
/// | sparsity S | EM drops to | EM&S grows to |
/// |---|---|---|
/// | 0.90 | 0.92, 0.91, 0.90 | 0.85, 0.875, 0.90 |
/// | 0.95 | 0.96, 0.955, 0.95 | 0.90, 0.925, 0.95 |
/// | other (extrapolated) | S + 0.2 (1 − S), S + 0.1 (1 − S), S | S − 0.05, S − 0.025, S |
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1) |
/// | `distribution` | uniform | |
/// | `phases` | the authors', by [`over`](Self::over) | |
/// | `every` | 5/160 of training by `over`, first at step 0 | ≥ 1 |
/// | `lambda` | 0 | ≥ 0, finite |
/// | `growth` | random | |
///
/// Yuan et al., "MEST: Accurate and Fast Memory-Economic Sparse Training Framework on the Edge",
/// NeurIPS 2021 (arXiv 2110.14032). A last phase that is shorter than `every` begins with a change
/// of masks, so that the net ends at `sparsity` whatever the length of a run. The first masks keep
/// the largest of the initial weights. The public code runs with λ = 0 and random growth, the
/// paper's text has λ > 0. It masks only the 3×3 convolutions of the residual blocks; choose them
/// with [`with_group`](crate::Sparsity::with_group). It also rebuilds masks from non-zero weights,
/// which silently drops a grown weight that is still 0; here masks are kept apart from weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mest {
    /// Share of dead weights at the end.
    pub sparsity: f64,
    /// Density of each layer.
    pub distribution: Distribution,
    /// Steps between changes of masks.
    pub every: u64,
    /// The phases, in order; masks are frozen after the last.
    pub phases: Vec<MestPhase>,
    /// Weight of the gradient in the importance.
    pub lambda: f64,
    /// Which dead weights grow.
    pub growth: MestGrowth,
}

impl Mest {
    /// Elastic mutation (EM); say by [`over`](Self::over) how long training is.
    pub fn em(sparsity: f64) -> Self {
        let drop_to = |share: f64| sparsity + share * (1.0 - sparsity);
        Self::with_bounds(sparsity, |phase| {
            (drop_to([0.2, 0.1, 0.0][phase]), sparsity)
        })
    }

    /// Elastic mutation with a soft memory bound (EM&S); say by [`over`](Self::over) how long
    /// training is.
    pub fn em_s(sparsity: f64) -> Self {
        let grow_to = |more: f64| (sparsity - more).max(0.0);
        Self::with_bounds(sparsity, |phase| {
            (sparsity, grow_to([0.05, 0.025, 0.0][phase]))
        })
    }

    fn with_bounds(sparsity: f64, bounds: impl Fn(usize) -> (f64, f64)) -> Self {
        let phase = |index| {
            let (drop_to, grow_to) = bounds(index);
            MestPhase {
                until: 0,
                drop_to,
                grow_to,
            }
        };
        Self {
            sparsity,
            distribution: Distribution::Uniform,
            every: 0,
            phases: (0..3).map(phase).collect(),
            lambda: 0.0,
            growth: MestGrowth::Random,
        }
    }

    /// Ends the authors' three phases at their shares of so many training steps, and changes masks
    /// at every 5/160 of training if no interval is [given](Self::every).
    pub fn over(mut self, steps: u64) -> Self {
        let ends = [share(steps, 90, 160), share(steps, 120, 160), steps];
        for (phase, until) in self.phases.iter_mut().zip(ends) {
            phase.until = until;
        }
        if self.every == 0 {
            self.every = share(steps, 5, 160).max(1);
        }
        self
    }

    /// Sets the distribution over layers.
    pub fn with_distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }

    /// Sets the number of steps between changes of masks.
    pub fn every(mut self, steps: u64) -> Self {
        self.every = steps;
        self
    }

    /// Sets the weight of the gradient in the importance.
    pub fn with_lambda(mut self, lambda: f64) -> Self {
        self.lambda = lambda;
        self
    }

    /// Sets which dead weights grow.
    pub fn with_growth(mut self, growth: MestGrowth) -> Self {
        self.growth = growth;
        self
    }

    /// Every so many steps. The last phase brings the net to its sparsity: where it would pass
    /// without a change of masks, because it is shorter than the interval, it begins with one.
    fn schedule(&self) -> UpdateSchedule {
        let end = self.phases.last().map_or(0, |phase| phase.until);
        let regular = UpdateSchedule::every(self.every).beginning_at(0);
        if self.phases.last().is_some_and(|phase| phase.until == 0) {
            return regular; // refused: nobody has said how long training is
        }
        let regular = regular.until(end);
        let before_last = self.phases.iter().rev().nth(1);
        let begin = before_last.map_or(0, |phase| phase.until);
        let last = (begin < end && regular.next_due(begin).is_none()).then_some(begin);
        UpdateSchedule { last, ..regular }
    }

    fn phase(&self, step: u64) -> Option<&MestPhase> {
        let now = self.phases.iter().find(|phase| step < phase.until);
        now.or(self.phases.last())
    }
}

impl Recipe for Mest {
    fn parts(&self, draw: Draw) -> Parts {
        let (drop_to, grow_to) = match self.phase(draw.step) {
            Some(phase) => (phase.drop_to, phase.grow_to),
            None => (self.sparsity, self.sparsity),
        };
        let name = match self
            .phases
            .iter()
            .any(|phase| phase.grow_to < self.sparsity)
        {
            true => "mest-ems",
            false => "mest",
        };
        let parts = Parts::new(name, self.sparsity, self.schedule(), draw);
        Parts {
            budget: Budget::PerLayer(self.distribution),
            start: Box::new(Magnitude),
            exchange: Exchange::Bounds { drop_to, grow_to },
            drop: Box::new(Importance {
                lambda: self.lambda,
            }),
            grow: match self.growth {
                MestGrowth::Random => parts.grow,
                MestGrowth::Gradient => Box::new(GradientMagnitude),
            },
            ..parts
        }
    }

    fn highest_sparsity(&self) -> f64 {
        let drops = self.phases.iter().map(|phase| phase.drop_to);
        drops.fold(self.sparsity, f64::max)
    }

    fn changes_sparsity(&self) -> bool {
        let differs = |phase: &MestPhase| phase.grow_to != self.sparsity;
        self.phases.iter().any(differs)
    }

    fn check(&self) -> Result<()> {
        let valid = self.lambda.is_finite() && self.lambda >= 0.0;
        check("lambda", self.lambda, valid, "finite and at least 0")?;
        let ordered = |p: &MestPhase| 0.0 <= p.grow_to && p.grow_to <= p.drop_to && p.drop_to < 1.0;
        let refused = |value: String, valid| {
            Err(Error::Config {
                field: "phases",
                value,
                valid,
            })
        };
        if let Some(phase) = self.phases.iter().find(|phase| !ordered(phase)) {
            return refused(format!("{phase:?}"), "0 ≤ grow_to ≤ drop_to < 1");
        }
        if !self.phases.is_sorted_by_key(|phase| phase.until) {
            return refused(format!("{:?}", self.phases), "in the order of their ends");
        }
        match self.phases.last() {
            Some(phase) if phase.grow_to != self.sparsity => refused(
                format!("{phase:?}"),
                "phases of which the last ends at `sparsity`",
            ),
            _ => Ok(()),
        }
    }
}
