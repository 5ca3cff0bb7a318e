//! When masks change and how much. Pure arithmetic on step numbers.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check};

/// How the share of live weights that is exchanged falls during training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// `α` throughout.
    Constant,
    /// `α (1 − t/T)`.
    Linear,
    /// `(α/2)(1 + cos(π t/T))`: RigL's choice and the default.
    #[default]
    Cosine,
    /// `α (1 − t/T)³`: what is left of gradual magnitude pruning.
    Cubic,
}

impl Decay {
    /// What is left at a progress from 0 to 1: 1 at the start and, but for a constant, 0 at the
    /// end.
    pub fn factor(self, progress: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Linear => 1.0 - progress,
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Self::Cubic => (1.0 - progress).powi(3),
        }
    }
}

/// Every `every` steps from `begin` to before `end`, with a share of weights that decays from
/// `fraction` towards `end`. Steps count from the attach.
///
/// ```
/// use zosam::sparse::{Decay, UpdateSchedule};
/// let schedule = UpdateSchedule::every(100).until(75_000); // 30 % at first, along a cosine
/// assert!(!schedule.is_due(0) && schedule.is_due(100) && !schedule.is_due(75_000));
/// assert!((schedule.fraction_at(37_500) - 0.15).abs() < 1e-12);
/// ```
///
/// The end has to be given, by [`until`](Self::until) or a method's `over`:
/// [`validate`](Self::validate) refuses a schedule without one, and so does an attach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateSchedule {
    /// First step that may change masks.
    pub begin: u64,
    /// Steps between changes (RigL's ΔT).
    pub every: u64,
    /// The step from which masks are frozen (RigL's T_end); none until it is given.
    pub end: Option<u64>,
    /// Share of the live weights exchanged at step 0 (RigL's α).
    pub fraction: f64,
    /// How that share falls.
    pub decay: Decay,
    /// The share that it falls to. Default 0.
    #[serde(default)]
    pub last_fraction: f64,
    /// One more change at this step, whatever `every` and `end` say. Default none.
    #[serde(default)]
    pub last: Option<u64>,
    /// Changes at just these steps, which must rise, instead of every `every` steps. Default none.
    #[serde(default)]
    pub steps: Option<Vec<u64>>,
}

impl UpdateSchedule {
    /// A change every so many steps, the first after as many: of 30 % of the live weights, falling
    /// along a cosine.
    ///
    /// The published RigL code may change masks at step 0, where weights say nothing yet about
    /// their worth: [`beginning_at(0)`](Self::beginning_at) does that.
    pub fn every(steps: u64) -> Self {
        Self {
            begin: steps,
            every: steps,
            end: None,
            fraction: 0.3,
            decay: Decay::Cosine,
            last_fraction: 0.0,
            last: None,
            steps: None,
        }
    }

    /// Changes at given steps; the share decays towards the last of them.
    pub fn at(steps: Vec<u64>) -> Self {
        let end = steps.last().map_or(0, |last| last.saturating_add(1));
        Self {
            begin: steps.first().copied().unwrap_or(0),
            steps: Some(steps),
            ..Self::every(1).until(end)
        }
    }

    /// No change at all.
    pub fn never() -> Self {
        Self::every(1).until(0)
    }

    /// Freezes masks from a step on.
    pub fn until(mut self, step: u64) -> Self {
        self.end = Some(step);
        self
    }

    /// Sets the first step that may change masks.
    pub fn beginning_at(mut self, step: u64) -> Self {
        self.begin = step;
        self
    }

    /// Sets the share of the live weights that is exchanged, at step 0 where it falls.
    pub fn with_fraction(mut self, fraction: f64) -> Self {
        self.fraction = fraction;
        self
    }

    /// Sets how the share falls.
    pub fn with_decay(mut self, decay: Decay) -> Self {
        self.decay = decay;
        self
    }

    /// Sets the share that it falls to.
    pub fn with_last_fraction(mut self, fraction: f64) -> Self {
        self.last_fraction = fraction;
        self
    }

    /// Whether masks change at a step.
    pub fn is_due(&self, step: u64) -> bool {
        match &self.steps {
            Some(steps) => steps.binary_search(&step).is_ok(),
            None => self.is_regular(step) || self.last == Some(step),
        }
    }

    fn is_regular(&self, step: u64) -> bool {
        step >= self.begin && step < self.stop() && (step - self.begin).is_multiple_of(self.every)
    }

    /// The step from which masks are frozen; 0 for a schedule that [`validate`](Self::validate) has
    /// yet to refuse.
    fn stop(&self) -> u64 {
        self.end.unwrap_or(0)
    }

    /// The schedule with this end and, where none was given, this interval.
    pub(in crate::sparse) fn filled(self, every: u64, end: u64) -> Self {
        match self.every {
            0 => Self {
                begin: every,
                every,
                ..self.until(end)
            },
            _ => self.until(end),
        }
    }

    /// The first step from a given one on at which masks change.
    pub fn next_due(&self, from: u64) -> Option<u64> {
        if let Some(list) = &self.steps {
            return list.iter().find(|step| **step >= from).copied();
        }
        let every = self.every.max(1);
        let past = from.saturating_sub(self.begin);
        let regular = past.div_ceil(every).saturating_mul(every);
        let regular = self.begin.saturating_add(regular);
        let regular = Some(regular).filter(|step| *step < self.stop());
        let last = self.last.filter(|step| *step >= from);
        [regular, last].into_iter().flatten().min()
    }

    /// The last step before a number of steps at which masks change.
    pub fn last_due_before(&self, steps: u64) -> Option<u64> {
        if let Some(list) = &self.steps {
            return list.iter().rev().find(|step| **step < steps).copied();
        }
        let before = steps.min(self.stop()).checked_sub(1);
        let regular = before
            .filter(|step| *step >= self.begin)
            .map(|step| step - (step - self.begin) % self.every.max(1));
        regular.max(self.last.filter(|last| *last < steps))
    }

    /// The share of live weights to exchange at a step.
    pub fn fraction_at(&self, step: u64) -> f64 {
        let progress = (step as f64 / self.stop().max(1) as f64).min(1.0);
        let range = self.fraction - self.last_fraction;
        match self.decay {
            Decay::Constant => self.fraction,
            decay => self.last_fraction + range * decay.factor(progress),
        }
    }

    /// Checks the ranges: `every` ≥ 1, an `end`, `fraction` and `last_fraction` in [0, 1], `steps`
    /// rising.
    ///
    /// # Errors
    ///
    /// A field out of its range.
    pub fn validate(&self) -> Result<()> {
        if self.every == 0 {
            return Err(Error::Config {
                field: "update_every",
                value: "0".to_string(),
                valid: "at least 1: give it by `every` or, with the rest of the schedule, by `over`",
            });
        }
        if self.end.is_none() {
            return Err(Error::Config {
                field: "schedule.end",
                value: "none".to_string(),
                valid: "a step: give it by `until`, or say by `over` how many steps training has",
            });
        }
        if let Some(steps) = &self.steps
            && !steps.is_sorted_by(|a, b| a < b)
        {
            return Err(Error::Config {
                field: "schedule.steps",
                value: format!("{steps:?}"),
                valid: "rising step numbers",
            });
        }
        let valid = (0.0..=1.0).contains(&self.last_fraction);
        check(
            "last_fraction",
            self.last_fraction,
            valid,
            "between 0 and 1",
        )?;
        let valid = (0.0..=1.0).contains(&self.fraction);
        check("drop_fraction", self.fraction, valid, "between 0 and 1")
    }
}
