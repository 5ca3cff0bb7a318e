//! What a step did.

use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::error::Failed;
use crate::objective::{Offset, Passes, read};
use crate::perturb::PlainReason;
use crate::sparse::MaskUpdate;

/// What a step returns: the next model and what was done, or the error and the model as it was.
pub type StepResult<M, E = ()> = Result<(M, StepReport<E>), Failed<M>>;

/// As [`StepResult`], with a gradient that was not stepped by.
pub type GradientResult<M, E = ()> = Result<(M, GradientsParams, StepReport<E>), Failed<M>>;

/// What a step did.
#[derive(Debug)]
#[non_exhaustive]
pub struct StepReport<E = ()> {
    /// The loss at the point where the gradient was measured; on its device.
    pub loss: Tensor<1>,
    /// What the loss closure returned beside the loss, from that same pass.
    pub extra: E,
    /// Forward and backward passes made.
    pub passes: Passes,
    /// `ε`; absent if the gradient was measured at `θ`.
    pub offset: Option<Offset>,
    /// Why the step is the base optimizer's although a perturbation was asked for, if it is.
    pub plain: Option<PlainReason>,
    /// Set if the masks changed.
    pub mask_update: Option<MaskUpdate>,
}

impl<E> StepReport<E> {
    /// Reads the loss from its device, which waits for it.
    pub fn loss_value(&self) -> f64 {
        read(&self.loss)
    }

    /// `‖ε‖`: the radius of the perturbation, or 0. Reads from the device.
    pub fn radius(&self) -> f64 {
        self.offset
            .as_ref()
            .map_or(0.0, |offset| offset.vector().norm())
    }
}

impl<E> StepReport<Vec<E>> {
    /// The report of a step on one batch.
    pub(super) fn single(mut self) -> StepReport<E> {
        StepReport {
            extra: self.extra.pop().expect("a step has at least one batch"),
            loss: self.loss,
            passes: self.passes,
            offset: self.offset,
            plain: self.plain,
            mask_update: self.mask_update,
        }
    }
}
