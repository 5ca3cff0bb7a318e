//! How far a perturbation points uphill.

use burn::module::Module;

use crate::masks::{Execution, Masks};
use crate::objective::{BatchLoss, Objective, Offset};

/// Cosine of the angle between a perturbation and the gradient of the batch, on the live weights.
///
/// SAM's is 1. For m random directions in `d` live dimensions it is `√(m/(m + d + 1))` in expectation: this is
/// the number to look at before believing that probes are worth their cost. `model` is the one that the step
/// started from, `loss` the step's closure. One forward and one backward pass; the model is left untouched.
/// With a loss over more images than the step's it is the cosine with that larger batch's gradient. `None` if the gradient is zero or not finite.
pub fn alignment<M: Module, F: BatchLoss<M>>(
    model: &M,
    offset: &Offset,
    masks: &Masks,
    loss: F,
) -> Option<f64> {
    let measure = || Objective::new(model, loss, 0).gradient(None).vector;
    let gradient = masks.project(masks.run(Execution::Auto, measure));
    let epsilon = offset.vector();
    let cosine = epsilon.dot(&gradient) / (epsilon.norm() * gradient.norm());
    cosine.is_finite().then_some(cosine)
}
