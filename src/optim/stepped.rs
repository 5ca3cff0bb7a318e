//! The base optimizer's own step.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::{DType, Device, FloatDType};

use crate::tree::{self, ParamVector};

/// The step of a base optimizer.
///
/// Parameters that are narrower than burn's default float type (half precision where that is f32)
/// are stepped in that type, state included, and rounded afterwards: as mixed precision is trained
/// elsewhere. burn reads an optimizer's state in that type, when a run is resumed and when state is
/// edited because masks change, so that state of their own type would not fit them any more.
pub(super) fn stepped<M: Module>(
    base: &mut ModuleOptimizer,
    lr: ModuleLearningRate,
    model: M,
    gradient: &ParamVector,
) -> M {
    let (model, types) = tree::widened(model, state_type());
    let gradient = tree::to_gradients(&model, gradient);
    tree::narrowed(base.step(lr, model, gradient), &types)
}

/// The float type in which burn reads optimizers' state.
fn state_type() -> FloatDType {
    Device::default().settings().float_dtype
}

/// The float type as which burn would read state of another one, if it cannot hold it.
pub(super) fn rounded_to(stored: DType) -> Option<FloatDType> {
    let read = state_type();
    let wide = DType::from(read);
    let holds = !stored.is_float() || stored == wide || stored.size() < wide.size();
    (!holds).then_some(read)
}
