//! Writing vectors back into a module.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::leaf::flatten;
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
    let direction = direction.clone().cut();
    let step = |id| match scale {
        1.0 => direction.get(id),
        _ => Some(direction.get(id)?.mul_scalar(scale)),
    };
    walk(twin(model), |place| {
        if !place.context.require_grad && !place.context.is_plain() {
            return None;
        }
        place.context.require_grad = record(place.id);
        step(place.id).map(New::Sum)
    })
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
