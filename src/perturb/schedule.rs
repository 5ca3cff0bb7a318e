//! At which steps a perturbation is made, and how far it reaches.

use serde::{Deserialize, Serialize};

/// When to perturb, and by which share of the radius; other steps are the base optimizer's and cost
/// what it costs.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `from` | 0 | first step that may be perturbed: for the last k steps of a run, say, or those after the last change of masks |
/// | `until` | none | first step that is not any more |
/// | `every` | 1 | each k-th of the steps between is perturbed |
/// | `ramp` | 0 | the radius grows linearly over this many steps from `from` on, from `ρ/ramp` to `ρ` |
///
/// Perturbing every k-th step is Composer's `interval`; the tail of a run suffices for most of
/// SAM's gain in Zhou et al., "Sharpness-Aware Minimization Efficiently Selects Flatter Minima Late
/// in Training", ICLR 2025 (arXiv 2410.10373).
///
/// Periods of a perturbation (LookSAM's, or those for which ZO-SAM keeps a direction) count the
/// steps that are perturbed, so that the two can be combined.
///
/// ```
/// use zosam::perturb::Schedule;
/// let schedule = Schedule::from(100).every(2).with_ramp(10);
/// let strength = [99, 100, 101, 104, 200].map(|step| schedule.strength(step));
/// assert_eq!(strength, [0.0, 0.1, 0.0, 0.5, 1.0]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// First step that may be perturbed.
    pub from: u64,
    /// First step that is not perturbed any more.
    pub until: Option<u64>,
    /// Distance of perturbed steps; 0 counts as 1.
    pub every: u64,
    /// Steps over which the radius grows.
    pub ramp: u64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::from(0)
    }
}

impl Schedule {
    /// Every step from one on.
    pub fn from(step: u64) -> Self {
        Self {
            from: step,
            until: None,
            every: 1,
            ramp: 0,
        }
    }

    /// Ends before a step.
    pub fn until(mut self, step: u64) -> Self {
        self.until = Some(step);
        self
    }

    /// Perturbs each k-th step.
    pub fn every(mut self, steps: u64) -> Self {
        self.every = steps;
        self
    }

    /// Lets the radius grow over a number of steps.
    pub fn with_ramp(mut self, steps: u64) -> Self {
        self.ramp = steps;
        self
    }

    /// The share of the radius at a step; at 0 there is no ascent at all.
    pub fn strength(&self, step: u64) -> f64 {
        let ended = self.until.is_some_and(|until| step >= until);
        let Some(taken) = step.checked_sub(self.from).filter(|_| !ended) else {
            return 0.0;
        };
        match taken.is_multiple_of(self.every.max(1)) {
            true => ((taken + 1) as f64 / self.ramp.max(1) as f64).min(1.0),
            false => 0.0,
        }
    }
}
