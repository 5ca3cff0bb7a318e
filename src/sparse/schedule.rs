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
}

/// Every `every` steps from `begin` to before `end`, with a share of weights that decays from
/// `fraction` towards `end`.
///
/// ```
/// use zosam::sparse::{Decay, UpdateSchedule};
/// let schedule = UpdateSchedule::new(100, 75_000, 0.3);
/// assert!(!schedule.is_due(0) && schedule.is_due(100) && !schedule.is_due(75_000));
/// assert!((schedule.fraction_at(37_500) - 0.15).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateSchedule {
    /// First step that may change masks.
    pub begin: u64,
    /// Steps between changes (RigL's ΔT).
    pub every: u64,
    /// First step after which masks are frozen (RigL's T_end).
    pub end: u64,
    /// Share of the live weights exchanged at step 0 (RigL's α).
    pub fraction: f64,
    /// How that share falls.
    pub decay: Decay,
}

impl UpdateSchedule {
    /// Cosine decay, and a first change after `every` steps.
    ///
    /// The published RigL code may change masks at step 0, where weights say nothing yet about their
    /// worth; set `begin` to 0 for that.
    pub fn new(every: u64, end: u64, fraction: f64) -> Self {
        Self {
            begin: every,
            every,
            end,
            fraction,
            decay: Decay::Cosine,
        }
    }

    /// Whether masks change at a step.
    pub fn is_due(&self, step: u64) -> bool {
        step >= self.begin && step < self.end && (step - self.begin).is_multiple_of(self.every)
    }

    /// The share of live weights to exchange at a step.
    pub fn fraction_at(&self, step: u64) -> f64 {
        let progress = (step as f64 / self.end.max(1) as f64).min(1.0);
        let factor = match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - progress,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        self.fraction * factor
    }

    /// Checks the ranges: `every` ≥ 1, `fraction` in [0, 1].
    ///
    /// # Errors
    ///
    /// A field out of its range.
    pub fn validate(&self) -> Result<()> {
        if self.every == 0 {
            return Err(Error::Config {
                field: "update_every",
                value: "0".to_string(),
                valid: "at least 1",
            });
        }
        let valid = (0.0..=1.0).contains(&self.fraction);
        check("drop_fraction", self.fraction, valid, "between 0 and 1")
    }
}
