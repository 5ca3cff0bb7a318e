//! Writing vectors back into a module.

use std::collections::HashSet;
use std::sync::OnceLock;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::leaf::{flatten, float_values};
use super::tied::First;
use super::vector::wide;
use super::walk::{New, walk};
use super::{ParamVector, twin};

/// Gives trainable parameters new values; `None` keeps the old one.
///
/// Ids, float types, `require_grad`, checkpointing strategy and everything that is not trainable
/// stay as they are. All places of a tied weight get the same tensor.
pub fn replace<M: Module>(
    model: M,
    mut new_value: impl FnMut(ParamId, Tensor<1>) -> Option<Tensor<1>>,
) -> M {
    walk(model, |place| {
        let trainable = place.context.require_grad;
        let new = trainable.then(|| new_value(place.id, wide(place.value())))?;
        new.map(New::Value)
    })
}

/// The model with all places of each tied weight at the value of the first one.
///
/// burn's optimizers step the first place only. Steps of this crate see to the others; this is for
/// steps of your own with a [`gradient`](crate::SharpOptimizer::gradient).
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{module::{Module, Param}, tensor::{Device, Tensor}};
/// use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
/// use zosam::tree;
///
/// #[derive(Module, Debug)]
/// struct Tied {
///     a: Param<Tensor<1>>,
///     b: Param<Tensor<1>>,
/// }
/// let a = Param::from_tensor(Tensor::ones([1], &Device::flex().autodiff()));
/// let model = Tied { b: a.clone(), a };
/// // The gradient of a · b is 2 where both are the same 1.
/// let gradients = (model.a.val() * model.b.val()).backward();
/// let gradients = GradientsParams::from_grads(gradients, &model);
/// let model = ModuleOptimizer::from(SgdConfig::new().build()).step(0.25, model, gradients);
/// let model = tree::retied(model);
/// assert_eq!(model.b.val().into_scalar::<f32>(), 0.5);
/// # }
/// ```
pub fn retied<M: Module>(model: M) -> M {
    walk(model, |_| None)
}

/// The isolated twin of a model at `θ + scale · direction`.
///
/// Where `record` is false the twin's parameter does not require a gradient; if it is false for
/// all, a forward pass through the twin records no graph and keeps no activation. A model in
/// validation mode is moved where the direction has a component.
pub fn perturbed<M: Module>(
    model: &M,
    direction: &ParamVector,
    scale: f64,
    record: impl Fn(ParamId) -> bool,
) -> M {
    perturbed_from(model, &OnceLock::new(), direction, scale, record)
}

/// As [`perturbed`], with the weights that move, in one piece, as an earlier call for this model has
/// left them.
pub(crate) fn perturbed_from<M: Module>(
    model: &M,
    weights: &OnceLock<ParamVector>,
    direction: &ParamVector,
    scale: f64,
    record: impl Fn(ParamId) -> bool,
) -> M {
    let moved = moved(model, weights, direction, scale);
    let direction = match &moved {
        Some(_) => ParamVector::default(),
        None => direction.clone().cut(),
    };
    let step = |id| match (&moved, scale) {
        (Some(moved), _) => moved.get(id).map(New::Value),
        (None, 1.0) => direction.get(id).map(New::Sum),
        (None, _) => Some(New::Sum(direction.get(id)?.mul_scalar(scale))),
    };
    walk(twin(model), |place| {
        if !place.context.require_grad && !place.context.is_plain() {
            return None;
        }
        place.context.require_grad = record(place.id);
        step(place.id)
    })
}

/// `θ + scale · direction` of the parameters that the direction has, where it is one sum for all of
/// them: on a device with memory of its own.
fn moved<M: Module>(
    model: &M,
    weights: &OnceLock<ParamVector>,
    direction: &ParamVector,
    scale: f64,
) -> Option<ParamVector> {
    direction.joined()?;
    let chosen = || {
        let moving: HashSet<ParamId> = direction.ids().into_iter().collect();
        float_values(model).filter(|id| moving.contains(&id))
    };
    // A direction of other parameters than the first one's does not fit.
    let first = weights.get_or_init(chosen).joined_sum(direction, scale);
    let sum = first.or_else(|| chosen().joined_sum(direction, scale))?;
    Some(sum.cut())
}

struct GradientVisitor<'a> {
    gradients: &'a GradientsParams,
    vector: ParamVector,
    first: First,
}

impl ModuleVisitor for GradientVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.first.is(param.id) {
            return;
        }
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.vector.push(param.id, flatten(gradient));
        }
    }
}

/// Flattens gradients. Parameters that got none (unused in the forward pass) are absent.
pub fn gradients<M: Module>(model: &M, gradients: &GradientsParams) -> ParamVector {
    let mut visitor = GradientVisitor {
        gradients,
        vector: ParamVector::default(),
        first: First::default(),
    };
    model.visit(&mut visitor);
    visitor.vector
}

struct RegisterVisitor<'a> {
    vector: &'a ParamVector,
    gradients: GradientsParams,
    first: First,
}

impl ModuleVisitor for RegisterVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.first.is(param.id) {
            return;
        }
        if let Some(component) = self.vector.get(param.id) {
            let value = param.base();
            let gradient: Tensor<D> = component.reshape(value.shape());
            let gradient = gradient.cast(value.dtype());
            self.gradients.register(param.id, gradient);
        }
    }
}

/// The inverse of [`gradients`]: what a burn optimizer's step takes.
pub fn to_gradients<M: Module>(model: &M, vector: &ParamVector) -> GradientsParams {
    let mut visitor = RegisterVisitor {
        vector,
        gradients: GradientsParams::new(),
        first: First::default(),
    };
    model.visit(&mut visitor);
    visitor.gradients
}
