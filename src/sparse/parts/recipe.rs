//! Methods that are a choice of parts.

use super::choices::{Draw, Exchange, Parts, Redistribution};
use super::distribution::{check_sparsity, fixed_counts, layer_counts};
use super::exchange::{Exchanged, exchange};
use super::{Budget, Regrown, Score, one_shot};
use crate::error::{Error, Result, check};
use crate::masks::LiveSet;
use crate::sparse::evidence::Need;
use crate::sparse::method::{SparsityMethod, no_choice_left};
use crate::sparse::plan::{GradientUse, Plan};
use crate::sparse::weight::Weight;

/// A method that is a choice of [`Parts`]; every recipe is a [`SparsityMethod`].
///
/// A new method is usually a struct of its settings and one function. This one drops by magnitude
/// and grows by gradient, preferring rows that have few live weights:
///
/// ```
/// use zosam::sparse::{Decay, Draw, Parts, Recipe, Score, UpdateSchedule, Weight};
///
/// /// Large gradients, in rows that have few live weights first.
/// #[derive(Debug)]
/// struct Lonely;
///
/// impl Score for Lonely {
///     fn name(&self) -> &'static str {
///         "lonely gradient"
///     }
///     fn score(&self, weight: &Weight) -> Vec<f32> {
///         let row = weight.len() / weight.shape[0];
///         let rows = weight.live.chunks(row).zip(weight.gradient.chunks(row));
///         rows.flat_map(|(live, gradient)| {
///             let live = live.iter().filter(|live| **live).count() as f32;
///             gradient.iter().map(move |g| g.abs() / (1.0 + live))
///         })
///         .collect()
///     }
/// }
///
/// #[derive(Debug)]
/// struct LonelyRigL(f64);
///
/// impl Recipe for LonelyRigL {
///     fn parts(&self, draw: Draw) -> Parts {
///         let schedule = UpdateSchedule::every(100).until(7_500).with_decay(Decay::Linear);
///         Parts {
///             grow: Box::new(Lonely),
///             ..Parts::new("lonely-rigl", self.0, schedule, draw)
///         }
///     }
/// }
///
/// let sparsity = zosam::Sparsity::new(LonelyRigL(0.9));
/// assert_eq!(sparsity.plan().name, "lonely-rigl");
/// ```
pub trait Recipe: std::fmt::Debug + Send + Sync {
    /// The parts at a step.
    fn parts(&self, draw: Draw) -> Parts;

    /// Checks settings that the parts do not show.
    ///
    /// # Errors
    ///
    /// A field out of its range.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whether changes of masks end at other sparsities than the one the method is named by.
    /// Default: no.
    fn changes_sparsity(&self) -> bool {
        false
    }

    /// The largest sparsity that a change of masks goes through. Default: the one the method is
    /// named by.
    fn highest_sparsity(&self) -> f64 {
        self.parts(Draw::default()).sparsity
    }

    /// Learns how many of how many live weights a change of masks dropped, in the layers that took
    /// part.
    fn adapt(&mut self, _dropped: usize, _live: usize) {}

    /// What [`adapt`](Self::adapt) has learnt, which must survive a checkpoint.
    fn learnt(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Restores what [`learnt`](Self::learnt) returned.
    ///
    /// # Errors
    ///
    /// If the value is no such thing.
    fn load_learnt(&mut self, _learnt: serde_json::Value) -> Result<()> {
        Ok(())
    }
}

impl<R: Recipe> SparsityMethod for R {
    fn plan(&self) -> Plan {
        let parts = self.parts(Draw::default());
        let constant = parts.first_sparsity == parts.sparsity && !self.changes_sparsity();
        let stay = parts.redistribution == Redistribution::None;
        Plan::new(parts.name, parts.sparsity)
            .with_need(parts.start.need())
            .with_layer_densities(constant && stay)
            .with_gradients(gradients(&parts))
            .with_memory(parts.memory)
            .with_regrown(parts.regrown)
            .with_steps_when_due(parts.steps_when_due)
    }

    fn validate(&self) -> Result<()> {
        let parts = self.parts(Draw::default());
        check_sparsity(parts.sparsity)?;
        check_sparsity(parts.first_sparsity)?;
        parts.schedule.validate()?;
        parts.memory.validate()?;
        if let Regrown::Normal { std } = parts.regrown {
            check("regrown.std", std, std >= 0.0, "at least 0")?;
        }
        check_measurable(parts.drop.as_ref())?;
        check_measurable(parts.grow.as_ref())?;
        self.check()
    }

    fn sparsity_after(&self, steps: u64) -> f64 {
        let parts = self.parts(Draw { seed: 0, step: 0 });
        match parts.schedule.last_due_before(steps) {
            None => parts.first_sparsity,
            Some(step) => match self.parts(Draw { seed: 0, step }).exchange {
                Exchange::Bounds { grow_to, .. } => grow_to,
                _ => parts.first_sparsity,
            },
        }
    }

    fn target_densities(&self, shapes: &[Vec<usize>]) -> Result<Option<Vec<f64>>> {
        let parts = self.parts(Draw::default());
        match parts.budget {
            Budget::PerLayer(distribution) if parts.redistribution == Redistribution::None => {
                distribution.densities(shapes, parts.sparsity).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn check_budget(&self, weights: &[Weight]) -> Result<()> {
        let parts = self.parts(Draw::default());
        let (highest, named) = (self.highest_sparsity(), parts.sparsity);
        match (parts.exchange, parts.budget) {
            (Exchange::Bounds { .. }, Budget::PerLayer(distribution)) => {
                layer_counts(distribution, weights, highest, named).map(drop)
            }
            _ => fixed_counts(weights, highest, named).map(drop),
        }
    }

    fn start_from(&mut self, _weights: &[Weight]) -> Result<()> {
        match self.parts(Draw::default()).schedule.next_due(0) {
            Some(_) => Ok(()),
            None => Err(no_choice_left(self.plan().name)),
        }
    }

    fn initial(&mut self, weights: &[Weight], seed: u64) -> Result<Vec<LiveSet>> {
        let parts = self.parts(Draw { seed, step: 0 });
        one_shot(
            weights,
            parts.start.as_ref(),
            parts.first_sparsity,
            parts.budget,
        )
    }

    fn is_due(&self, step: u64) -> bool {
        self.parts(Draw::default()).schedule.is_due(step)
    }

    fn is_due_within(&self, step: u64, steps: u64) -> bool {
        let next = self.parts(Draw::default()).schedule.next_due(step);
        next.is_some_and(|due| due - step < steps)
    }

    fn update(&mut self, step: u64, weights: &[Weight], seed: u64) -> Result<Vec<LiveSet>> {
        let parts = self.parts(Draw { seed, step });
        let Exchanged { live, before, left } = exchange(weights, &parts, step)?;
        self.adapt(left, before);
        Ok(live)
    }

    fn state(&self) -> serde_json::Value {
        self.learnt()
    }

    fn load_state(&mut self, state: serde_json::Value) -> Result<()> {
        self.load_learnt(state)
    }
}

/// Which gradients a change of masks looks at.
fn gradients(parts: &Parts) -> GradientUse {
    let by_gradient = |score: &dyn Score| score.need() != Need::Nothing;
    match parts.redistribution {
        _ if by_gradient(parts.grow.as_ref()) => GradientUse::All,
        Redistribution::ByGradient => GradientUse::Live,
        _ if by_gradient(parts.drop.as_ref()) => GradientUse::Live,
        _ => GradientUse::None,
    }
}

/// Checks that what a score looks at is there during training.
fn check_measurable(score: &dyn Score) -> Result<()> {
    match score.need() {
        Need::Nothing | Need::Gradient => Ok(()),
        need => Err(Error::Config {
            field: "drop or grow",
            value: format!("{}, which needs {need:?}", score.name()),
            valid: "a score of weights or of their gradient: other needs are measured before training only",
        }),
    }
}
