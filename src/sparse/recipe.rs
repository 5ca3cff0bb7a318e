//! Methods that are a choice of parts.

use super::distribution::{fixed_counts, layer_counts};
use super::exchange::{Exchanged, exchange};
use super::keep::no_choice_left;
use super::random::check_sparsity;
use super::{
    Budget, GradientMemory, Magnitude, Need, Random, Regrown, Score, SparsityMethod,
    UpdateSchedule, Weight, one_shot,
};
use crate::error::{Error, Result, check};
use crate::masks::LiveSet;

/// How many weights leave and come at a change of masks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Exchange {
    /// `⌊f · live⌋` of each layer, `f` from the schedule; as many grow.
    Fraction,
    /// Down to one sparsity, then up to another, by the budget: equal ones without growth prune, a
    /// higher one before a lower one explores.
    Bounds {
        /// Share of dead weights after the drop.
        drop_to: f64,
        /// Share of dead weights after the growth, at most `drop_to`.
        grow_to: f64,
    },
    /// All weights whose drop score is below a threshold, but at most half of a layer's; as many
    /// grow.
    Below(f64),
}

/// Which layers grow what was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Redistribution {
    /// Each layer as many as it lost. The default.
    #[default]
    None,
    /// In proportion to the number of weights a layer has left (DSR).
    BySurvivors,
    /// In proportion to the mean size of the remembered gradient over a layer's live weights
    /// (SNFS).
    ByGradient,
}

/// The parts of a method that exchanges weights during training.
///
/// Build them from [`Parts::new`], which holds SET's: whatever a method does differently is one
/// field.
#[derive(Debug)]
pub struct Parts {
    /// The method's name in reports.
    pub name: &'static str,
    /// Share of dead weights that the method is named by.
    pub sparsity: f64,
    /// Over what weights compete.
    pub budget: Budget,
    /// Share of dead weights before the first change of masks.
    pub first_sparsity: f64,
    /// Ranks weights for the first masks.
    pub start: Box<dyn Score>,
    /// When masks change and, for [`Exchange::Fraction`], how much.
    pub schedule: UpdateSchedule,
    /// How many weights leave and come.
    pub exchange: Exchange,
    /// Ranks live weights; the lowest leave.
    pub drop: Box<dyn Score>,
    /// Ranks dead weights; the highest come.
    pub grow: Box<dyn Score>,
    /// Whether a weight just dropped may grow again in the same change.
    pub regrow_dropped: bool,
    /// Which layers grow what was dropped.
    pub redistribution: Redistribution,
    /// The value of a weight that has just grown.
    pub regrown: Regrown,
    /// Whether the optimizer takes its step, too, when masks change.
    pub steps_when_due: bool,
    /// Which gradient the scores see.
    pub memory: GradientMemory,
}

impl Parts {
    /// Random masks; then, in each layer, the smallest weights make way for random ones.
    pub fn new(
        name: &'static str,
        sparsity: f64,
        budget: Budget,
        schedule: UpdateSchedule,
        draw: Draw,
    ) -> Self {
        Self {
            name,
            sparsity,
            budget,
            first_sparsity: sparsity,
            start: Box::new(draw.start()),
            schedule,
            exchange: Exchange::Fraction,
            drop: Box::new(Magnitude),
            grow: Box::new(draw.growth()),
            regrow_dropped: true,
            redistribution: Redistribution::None,
            regrown: Regrown::Zero,
            steps_when_due: true,
            memory: GradientMemory::Batch,
        }
    }
}

impl Parts {
    /// Random masks that never change; [`start`](Self::start) is what the methods that prune before
    /// training set.
    pub fn once(name: &'static str, sparsity: f64, budget: Budget, draw: Draw) -> Self {
        let never = UpdateSchedule::constant(1, 0, 0.0);
        Self::new(name, sparsity, budget, never, draw)
    }
}

/// What random scores and schedules depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Draw {
    /// The run's seed.
    pub seed: u64,
    /// The number of steps taken.
    pub step: u64,
}

impl Draw {
    /// Random scores for the first masks.
    pub fn start(self) -> Random {
        Random {
            seed: self.seed,
            step: 0,
        }
    }

    /// Random scores for the growth at this step, independent of those for the first masks.
    pub fn growth(self) -> Random {
        Random {
            seed: self.seed,
            step: self.step + 1,
        }
    }
}

/// A method that is a choice of [`Parts`]; every recipe is a [`SparsityMethod`].
///
/// A new method is usually a struct of its settings and one function. This one drops by magnitude
/// and grows by gradient, preferring rows that have few live weights:
///
/// ```
/// use zosam::sparse::{Budget, Decay, Distribution, Draw, Parts, Recipe, Score, UpdateSchedule, Weight};
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
///         let budget = Budget::PerLayer(Distribution::Erk);
///         let schedule = UpdateSchedule::new(100, 7_500, 0.3).with_decay(Decay::Linear);
///         Parts {
///             grow: Box::new(Lonely),
///             ..Parts::new("lonely-rigl", self.0, budget, schedule, draw)
///         }
///     }
/// }
///
/// let sparsity = zosam::Sparsity::new(LonelyRigL(0.9));
/// assert_eq!(sparsity.method().name(), "lonely-rigl");
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

    /// Memory that must survive a checkpoint.
    fn memory(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Restores what [`memory`](Self::memory) returned.
    ///
    /// # Errors
    ///
    /// If the value is not such a memory.
    fn load_memory(&mut self, _memory: serde_json::Value) -> Result<()> {
        Ok(())
    }
}

impl<R: Recipe> SparsityMethod for R {
    fn name(&self) -> &'static str {
        self.parts(Draw::default()).name
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

    fn sparsity(&self) -> f64 {
        self.parts(Draw::default()).sparsity
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

    fn need(&self) -> Need {
        self.parts(Draw::default()).start.need()
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
            None => Err(no_choice_left(self.name())),
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

    fn takes_layer_densities(&self) -> bool {
        let parts = self.parts(Draw::default());
        let constant = parts.first_sparsity == parts.sparsity && !self.changes_sparsity();
        constant && parts.redistribution == Redistribution::None
    }

    fn is_due(&self, step: u64) -> bool {
        self.parts(Draw::default()).schedule.is_due(step)
    }

    fn is_due_within(&self, step: u64, steps: u64) -> bool {
        let next = self.parts(Draw::default()).schedule.next_due(step);
        next.is_some_and(|due| due - step < steps)
    }

    fn regrown(&self) -> Regrown {
        self.parts(Draw::default()).regrown
    }

    fn steps_when_due(&self) -> bool {
        self.parts(Draw::default()).steps_when_due
    }

    fn needs_dense_gradient(&self) -> bool {
        self.parts(Draw::default()).grow.need() != Need::Nothing
    }

    fn needs_gradient(&self) -> bool {
        let parts = self.parts(Draw::default());
        let by_scores = [&parts.drop, &parts.grow].map(|score| score.need() != Need::Nothing);
        by_scores.contains(&true) || parts.redistribution == Redistribution::ByGradient
    }

    fn gradient_memory(&self) -> GradientMemory {
        self.parts(Draw::default()).memory
    }

    fn update(&mut self, step: u64, weights: &[Weight], seed: u64) -> Result<Vec<LiveSet>> {
        let parts = self.parts(Draw { seed, step });
        let Exchanged { live, before, left } = exchange(weights, &parts, step)?;
        self.adapt(left, before);
        Ok(live)
    }

    fn state(&self) -> serde_json::Value {
        self.memory()
    }

    fn load_state(&mut self, state: serde_json::Value) -> Result<()> {
        self.load_memory(state)
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
