//! What becomes of the gradient that was measured.

use crate::objective::Offset;
use crate::tree::ParamVector;

/// The gradients of a step: means over its batches.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// At `θ + ε`, or at `θ` if there is no `ε`; dense.
    pub perturbed: ParamVector,
    /// At `θ`, if the ascent of every batch measured it; dense.
    pub here: Option<ParamVector>,
    /// `ε` of the last batch, if there is one.
    pub offset: Option<Offset>,
    /// Whether an ascent was made: the schedule or the method may leave it out.
    pub ascended: bool,
}

impl Gradients {
    /// A gradient at `θ`, of a step without an ascent.
    pub(crate) fn of(gradient: ParamVector) -> Self {
        Self {
            perturbed: gradient,
            here: None,
            offset: None,
            ascended: false,
        }
    }
}

/// What the base optimizer gets.
#[derive(Debug, Clone)]
pub struct Descent {
    /// The gradient that the base optimizer steps by.
    pub gradient: ParamVector,
    /// A vector that is subtracted after its step, times the learning rate; momentum and adaptive
    /// scaling do not see it.
    pub drift: Option<ParamVector>,
}

impl From<ParamVector> for Descent {
    fn from(gradient: ParamVector) -> Self {
        Self {
            gradient,
            drift: None,
        }
    }
}
