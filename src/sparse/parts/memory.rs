//! Which gradient the scores of a method see.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check};
use crate::tree::ParamVector;

/// Every step looks this far ahead for a change of masks, so there has to be a bound.
const MOST_STEPS: u64 = 10_000;

/// Which gradient the scores of a method see.
///
/// Every gradient is that of the loss with respect to all positions of the sparse weights, dead
/// ones included.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GradientMemory {
    /// That of the step at which masks change. The default, and RigL's.
    #[default]
    Batch,
    /// The sum over the last steps, at least 1, up to the one at which masks change.
    ///
    /// Scores are computed from the sum, so opposite gradients cancel, as for one large batch.
    Sum {
        /// Number of steps, at most 10,000.
        steps: u64,
    },
    /// `m ← decay · m + g` over all steps: the momentum of SNFS. Decay in [0, 1).
    Momentum {
        /// Share that stays from step to step.
        decay: f64,
    },
}

impl GradientMemory {
    pub(in crate::sparse) fn validate(self) -> Result<()> {
        match self {
            Self::Sum { steps } if !(1..=MOST_STEPS).contains(&steps) => Err(Error::Config {
                field: "memory.steps",
                value: steps.to_string(),
                valid: "at least 1, at most 10000",
            }),
            Self::Momentum { decay } => {
                let valid = (0.0..1.0).contains(&decay);
                check("memory.decay", decay, valid, "at least 0 and less than 1")
            }
            _ => Ok(()),
        }
    }

    /// Whether the gradient of a step is remembered, given whether masks change within a number of
    /// steps.
    pub(in crate::sparse) fn takes(self, is_due_within: impl Fn(u64) -> bool) -> bool {
        match self {
            Self::Batch => false,
            Self::Sum { steps } => is_due_within(steps),
            Self::Momentum { .. } => true,
        }
    }

    /// The memory after one more gradient.
    pub(in crate::sparse) fn add(self, memory: &ParamVector, gradient: ParamVector) -> ParamVector {
        let decay = match self {
            Self::Momentum { decay } => decay,
            _ => 1.0,
        };
        match memory.is_empty() {
            true => gradient,
            false => gradient.plus_scaled(memory, decay),
        }
    }

    /// Whether a change of masks empties the memory.
    pub(in crate::sparse) fn ends_with_update(self) -> bool {
        !matches!(self, Self::Momentum { .. })
    }
}
