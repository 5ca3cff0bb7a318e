//! Isolation of running statistics.
//!
//! Clones of a burn module share their running statistics, and every training forward pass updates
//! them, with or without a graph. Probes must leave no trace, so they run on a [`twin`]; when the
//! step has decided which of its forward passes counts, [`adopt_buffers`] copies that pass's
//! statistics back. Every method therefore advances them exactly once per step.

use std::collections::{HashMap, HashSet};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use super::leaf::flatten;
use super::walk::{Context, New, walk};

#[derive(Default)]
struct Contexts(HashMap<ParamId, Context>);

impl ModuleVisitor for Contexts {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let context = || Context::of(&param.base());
        self.0.entry(param.id).or_insert_with(context);
    }
}

/// A copy of a model that shares weights but not running statistics.
///
/// Ids, `require_grad`, training flags and checkpointing strategy are those of the original.
/// Weights are reference-counted, so a twin costs no copy of them.
pub fn twin<M: Module>(model: &M) -> M {
    if !super::device(model).is_some_and(|device| device.is_autodiff()) {
        // There is no training state to bring back.
        return model.valid();
    }
    let mut contexts = Contexts::default();
    model.visit(&mut contexts);
    // burn's round trip drops the autodiff settings.
    walk(model.valid().train(), |place| {
        if let Some(context) = contexts.0.get(&place.id) {
            place.context = context.clone();
        }
        None
    })
}

struct Values {
    values: HashMap<ParamId, Tensor<1>>,
    /// What nobody asks for.
    without: HashSet<ParamId>,
}

impl Values {
    fn of<M: Module>(model: &M, without: HashSet<ParamId>) -> Self {
        let mut values = Self {
            values: HashMap::new(),
            without,
        };
        // `valid` folds in the update that burn keeps pending until the next forward pass.
        model.valid().visit(&mut values);
        values
    }
}

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.without.contains(&param.id) {
            let value = || flatten(param.base());
            self.values.entry(param.id).or_insert_with(value);
        }
    }
}

#[derive(Default)]
struct Trainable(HashSet<ParamId>);

impl ModuleVisitor for Trainable {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.base().is_require_grad() {
            self.0.insert(param.id);
        }
    }
}

/// Copies the running statistics of `from` into `model`.
///
/// Trainable parameters are left alone. Frozen ones have equal values in a model and its twins, so
/// writing them changes nothing.
pub fn adopt_buffers<M: Module>(model: M, from: &M) -> M {
    let mut trainable = Trainable::default();
    model.visit(&mut trainable);
    let mut buffers = Values::of(from, trainable.0);
    walk(model, |place| {
        buffers.values.remove(&place.id).map(New::Value)
    })
}

/// `(1 − share) · model + share · from`, over every float tensor, running statistics included.
///
/// `model` is a twin of `from`, or a twin's blend.
pub(crate) fn blend<M: Module>(model: M, from: &M, share: f64) -> M {
    let mut others = Values::of(from, HashSet::new());
    walk(model, |place| {
        let other = others.values.remove(&place.id)?;
        let blend = place.value().mul_scalar(1.0 - share) + other.mul_scalar(share);
        Some(New::Value(blend))
    })
}

/// Gives float tensors back the values that [`named_tensors`](super::named_tensors) read,
/// flattened, running statistics included; clones of the model keep theirs.
pub(crate) fn restore<M: Module>(model: &M, tensors: &HashMap<String, TensorData>) -> M {
    walk(twin(model), |place| {
        let data = tensors.get(&place.path.dotted())?;
        let value = place.value();
        let fits = data.num_elements() == value.dims()[0];
        // Without a type burn would make a tensor of the device's default one.
        let kind = (&value.device(), value.dtype());
        fits.then(|| New::Value(Tensor::from_data(data.clone(), kind)))
    })
}
