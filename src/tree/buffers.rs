//! Isolation of running statistics.
//!
//! Clones of a burn module share their running statistics, and every training forward pass updates
//! them, with or without a graph. Probes must leave no trace, so they run on a [`twin`]; when the
//! step has decided which of its forward passes counts, [`adopt_buffers`] copies that pass's
//! statistics back. Every method therefore advances them exactly once per step.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use super::leaf::{Path, flatten};
use super::replace::Context;

#[derive(Default)]
struct ContextVisitor(HashMap<ParamId, Context>);

impl ModuleVisitor for ContextVisitor {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(param.id, Context::of(&param.base()));
    }
}

/// Restores the autodiff settings that burn's `valid().train()` round trip drops.
impl ModuleMapper for ContextVisitor {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match self.0.get(&id) {
            Some(context) => context.lift(tensor.inner(), id),
            None => tensor,
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// A copy of a model that shares weights but not running statistics.
///
/// Ids, `require_grad`, training flags and checkpointing strategy are those of the original. Weights
/// are reference-counted, so a twin costs no copy of them.
pub fn twin<M: Module>(model: &M) -> M {
    if !super::device(model).is_some_and(|device| device.is_autodiff()) {
        // There is no training state to bring back.
        return model.valid();
    }
    let mut contexts = ContextVisitor::default();
    model.visit(&mut contexts);
    model.valid().train().map(&mut contexts)
}

#[derive(Default)]
struct BufferVisitor(HashMap<ParamId, Tensor<1>>);

impl ModuleVisitor for BufferVisitor {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(param.id, flatten(param.base()));
    }
}

impl ModuleMapper for BufferVisitor {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let buffer = self.0.remove(&id).filter(|_| !tensor.is_require_grad());
        let tensor = match buffer {
            Some(value) => Context::of(&tensor).lift(value.reshape(tensor.shape()), id),
            None => tensor,
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Copies the running statistics of `from` into `model`.
///
/// Trainable parameters are left alone. Frozen ones have equal values in a model and its twins, so
/// writing them changes nothing.
pub fn adopt_buffers<M: Module>(model: M, from: &M) -> M {
    // `valid` folds in the update that burn keeps pending until the next forward pass.
    let mut buffers = BufferVisitor::default();
    from.valid().visit(&mut buffers);
    model.map(&mut buffers)
}

struct Blend {
    from: BufferVisitor,
    share: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match self.from.0.remove(&id) {
            Some(other) => {
                let context = Context::of(&tensor);
                let own = match tensor.is_autodiff() {
                    true => tensor.inner(),
                    false => tensor,
                };
                let other = other.reshape(own.shape());
                let blended = own.mul_scalar(1.0 - self.share) + other.mul_scalar(self.share);
                context.lift(blended, id)
            }
            None => tensor,
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// `(1 − share) · model + share · from`, over every float tensor, running statistics included.
///
/// `model` is a twin of `from`, or a twin's blend.
pub(crate) fn blend<M: Module>(model: M, from: &M, share: f64) -> M {
    let mut tensors = BufferVisitor::default();
    from.valid().visit(&mut tensors);
    model.map(&mut Blend {
        from: tensors,
        share,
    })
}

struct Restore<'a> {
    path: Path,
    tensors: &'a HashMap<String, TensorData>,
}

impl ModuleMapper for Restore<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let stored = self.tensors.get(&self.path.dotted());
        let tensor =
            match stored.filter(|data| data.num_elements() == tensor.shape().num_elements()) {
                Some(data) => {
                    let device = tensor.device().without_autodiff();
                    let value = Tensor::<1>::from_data(data.clone(), &device);
                    Context::of(&tensor).lift(value.reshape(tensor.shape()), id)
                }
                None => tensor,
            };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Gives float tensors back the values that [`named_tensors`](super::named_tensors) read, flattened, running
/// statistics included; clones of the model keep theirs.
pub(crate) fn restore<M: Module>(model: &M, tensors: &HashMap<String, TensorData>) -> M {
    twin(model).map(&mut Restore {
        path: Path::default(),
        tensors,
    })
}
