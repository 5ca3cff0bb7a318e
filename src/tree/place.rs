//! On which devices parameters live.

use burn::module::Module;
#[cfg(feature = "train")]
use burn::module::{ModuleVisitor, Param};
use burn::tensor::Device;
#[cfg(feature = "train")]
use burn::tensor::Tensor;

use super::{ParamVector, float_values};

#[cfg(feature = "train")]
#[derive(Default)]
struct Distributed(bool);

#[cfg(feature = "train")]
impl ModuleVisitor for Distributed {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.base();
        self.0 |= tensor.is_autodiff() && tensor.is_distributed();
    }
}

/// Whether burn averages the gradients of a model over devices by itself.
#[cfg(feature = "train")]
pub(crate) fn is_distributed<M: Module>(model: &M) -> bool {
    let mut distributed = Distributed::default();
    model.visit(&mut distributed);
    distributed.0
}

/// A vector on the devices of a model's parameters.
pub(crate) fn near<M: Module>(model: &M, vector: ParamVector) -> ParamVector {
    let values = float_values(model);
    vector.map(|id, component| match values.get(id) {
        Some(value) => component.to_device(&value.device()),
        None => component,
    })
}

/// A model with gradients on another device, or as it is.
pub(crate) fn moved<M: Module>(model: &M, elsewhere: Option<&Device>) -> M {
    match elsewhere {
        Some(device) => model.clone().fork(&device.clone().autodiff()),
        None => model.clone(),
    }
}
