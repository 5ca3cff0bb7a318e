//! From a gradient to the next weights and masks.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::ModuleOptimizer;

use super::state;
use super::stepped::stepped;
use crate::error::Result;
use crate::perturb::Descent;
use crate::sparse::{MaskUpdate, Sparsity};
use crate::tree::{self, ParamVector};

/// The base optimizer's step from `θ`, and the change of masks if one is due, by the gradient that
/// grows weights.
#[allow(
    clippy::too_many_arguments,
    reason = "each is a thing of its own, and there is one caller"
)]
pub(super) fn descend<M: Module>(
    base: &mut ModuleOptimizer,
    lr: ModuleLearningRate,
    step: u64,
    mut model: M,
    sparsity: &mut Sparsity,
    Descent { gradient, drift }: Descent,
    growth: &ParamVector,
    largest_norm: Option<f64>,
) -> Result<(M, Option<MaskUpdate>)> {
    let is_due = sparsity.is_due(step);
    if !is_due || sparsity.plan().steps_when_due {
        let (before, gradient) = sparsity.before_step(model, gradient);
        model = stepped(base, lr.clone(), before, &clipped(gradient, largest_norm));
        if let Some(drift) = drift {
            model = drifted(model, &drift, &lr);
        }
        model = sparsity.after_step(model);
    }
    if !is_due {
        return Ok((model, None));
    }
    let (model, update) = sparsity.update(step, model, growth)?;
    *base = match sparsity.rewinds() {
        true => state::fresh(base)?,
        false => state::keep_only(base, &update.kept)?,
    };
    Ok((model, Some(update)))
}

/// `θ − η · drift`, with the learning rate of each parameter's group.
fn drifted<M: Module>(model: M, drift: &ParamVector, lr: &ModuleLearningRate) -> M {
    let leaves = tree::leaves(&model);
    let rate = |id| {
        let leaf = leaves.iter().find(|leaf| leaf.id == id);
        lr.lr_from_param(id, leaf.map(|leaf| leaf.path.as_str()))
    };
    tree::replace(model, |id, value| {
        let component = drift.get(id)?;
        Some(value - component.mul_scalar(rate(id)))
    })
}

/// A gradient scaled down to a norm, if it is larger.
pub(super) fn clipped(gradient: ParamVector, largest_norm: Option<f64>) -> ParamVector {
    let Some(largest) = largest_norm else {
        return gradient;
    };
    match largest / (gradient.norm() + 1e-6) {
        factor if factor >= 1.0 => gradient,
        factor => gradient.scaled(factor),
    }
}
