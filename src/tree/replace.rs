//! Writing vectors back into a module.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{GradientCheckpointingStrategy, Tensor};

use super::leaf::flatten;
use super::vector::wide;
use super::{ParamVector, twin};

/// The autodiff settings that a parameter carries and that a new value must carry too.
///
/// burn lifts a plain tensor with default settings; mixing checkpointing strategies in one forward
/// pass panics. burn's optimizers do the same with a type that is private to them.
pub(super) struct Context {
    require_grad: bool,
    distributed: bool,
    checkpointing: Option<GradientCheckpointingStrategy>,
}

impl Context {
    pub(super) fn of<const D: usize>(tensor: &Tensor<D>) -> Self {
        // burn panics where a plain tensor is asked for the last two.
        let is_autodiff = tensor.is_autodiff();
        Self {
            require_grad: tensor.is_require_grad(),
            distributed: is_autodiff && tensor.is_distributed(),
            checkpointing: is_autodiff
                .then(|| tensor.gradient_checkpointing_strategy())
                .flatten(),
        }
    }

    pub(super) fn lift<const D: usize>(&self, plain: Tensor<D>, id: ParamId) -> Tensor<D> {
        let Some(strategy) = self.checkpointing else {
            return plain;
        };
        let mut tensor = Tensor::from_inner(plain).with_gradient_checkpointing_strategy(strategy);
        if self.require_grad {
            tensor = tensor.require_grad();
        }
        if self.distributed {
            tensor = tensor.set_distributed(id);
        }
        tensor
    }
}

struct Replace<F, R> {
    new_value: F,
    record: R,
}

impl<F, R> ModuleMapper for Replace<F, R>
where
    F: FnMut(ParamId, Tensor<1>) -> Option<Tensor<1>>,
    R: Fn(ParamId) -> bool,
{
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        if !tensor.is_require_grad() {
            return Param::from_mapped_value(id, tensor, mapper);
        }
        let mut context = Context::of(&tensor);
        context.require_grad = (self.record)(id);
        let shape = tensor.shape();
        let plain = tensor.inner();
        let new = match (self.new_value)(id, wide(flatten(plain.clone()))) {
            Some(flat) => flat.reshape(shape).cast(plain.dtype()),
            None => plain,
        };
        Param::from_mapped_value(id, context.lift(new, id), mapper)
    }
}

/// Gives trainable parameters new values; `None` keeps the old one.
///
/// Ids, `require_grad`, checkpointing strategy and everything that is not trainable stay as they are.
pub fn replace<M: Module>(
    model: M,
    new_value: impl FnMut(ParamId, Tensor<1>) -> Option<Tensor<1>>,
) -> M {
    model.map(&mut Replace {
        new_value,
        record: |_| true,
    })
}

/// The isolated twin of a model at `θ + scale · direction`.
///
/// Where `record` is false the twin's parameter does not require a gradient; if it is false for all, a forward pass
/// through the twin records no graph and keeps no activation.
pub fn perturbed<M: Module>(
    model: &M,
    direction: &ParamVector,
    scale: f64,
    record: impl Fn(ParamId) -> bool,
) -> M {
    twin(model).map(&mut Replace {
        new_value: |id, value: Tensor<1>| {
            let component = direction.get(id)?;
            Some(value + component.clone().mul_scalar(scale))
        },
        record,
    })
}

struct GradientVisitor<'a> {
    gradients: &'a GradientsParams,
    vector: ParamVector,
}

impl ModuleVisitor for GradientVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
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
    };
    model.visit(&mut visitor);
    visitor.vector
}

struct RegisterVisitor<'a> {
    vector: &'a ParamVector,
    gradients: GradientsParams,
}

impl ModuleVisitor for RegisterVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(component) = self.vector.get(param.id) {
            let gradient: Tensor<D> = component.clone().reshape(param.lazy_shape());
            let gradient = gradient.cast(param.val().dtype());
            self.gradients.register(param.id, gradient);
        }
    }
}

/// The inverse of [`gradients`]: what a burn optimizer's step takes.
pub fn to_gradients<M: Module>(model: &M, vector: &ParamVector) -> GradientsParams {
    let mut visitor = RegisterVisitor {
        vector,
        gradients: GradientsParams::new(),
    };
    model.visit(&mut visitor);
    visitor.gradients
}
