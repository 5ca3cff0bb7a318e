//! A walk through a module that gives tensors new values.

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{GradientCheckpointingStrategy, Tensor};

use super::leaf::{Path, flatten};
use super::tied::Same;
use super::vector::{aligned, wide};

/// The autodiff settings that a parameter carries and that a new value must carry too.
///
/// burn lifts a plain tensor with default settings; mixing checkpointing strategies in one forward
/// pass panics. burn's optimizers do the same with a type that is private to them.
#[derive(Clone)]
pub(super) struct Context {
    pub require_grad: bool,
    distributed: bool,
    checkpointing: Option<GradientCheckpointingStrategy>,
}

impl Context {
    pub fn of<const D: usize>(tensor: &Tensor<D>) -> Self {
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

    /// Whether the device has no autodiff, so that nothing can require a gradient.
    pub fn is_plain(&self) -> bool {
        self.checkpointing.is_none()
    }

    pub fn lift<const D: usize>(&self, plain: Tensor<D>, id: ParamId) -> Tensor<D> {
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

/// A tensor on the way.
pub(super) struct Place<'a> {
    pub id: ParamId,
    pub path: &'a Path,
    /// The settings of its next value; a walk may change them.
    pub context: Context,
    value: &'a dyn Fn() -> Tensor<1>,
}

impl Place<'_> {
    /// Its value, flat and without a graph.
    pub fn value(&self) -> Tensor<1> {
        (self.value)()
    }
}

/// What becomes of a tensor; flat, of any float type.
pub(super) enum New {
    /// This value.
    Value(Tensor<1>),
    /// The old value and this.
    Sum(Tensor<1>),
}

fn sum<const D: usize>(value: Tensor<D>, step: Tensor<1>, on_host: bool) -> Tensor<D> {
    let (shape, kind) = (value.shape(), value.dtype());
    if on_host || step.dtype() != kind {
        let (value, step) = aligned(wide(flatten(value)), step);
        return (value + step).reshape(shape).cast(kind);
    }
    // An operation less.
    value + step.reshape(shape)
}

/// Visits each float tensor once, however many places it has, and gives all of them its new value,
/// or `None` for the old one. Ids, shapes, float types and autodiff settings stay as they are.
pub(super) fn walk<M: Module>(
    model: M,
    mut change: impl FnMut(&mut Place<'_>) -> Option<New>,
) -> M {
    model.map(&mut Walk {
        path: Path::default(),
        same: Same::default(),
        change: &mut change,
        on_host: None,
    })
}

/// One type for all modules and closures. burn compiles a mapper once for each of nine ranks, and
/// again for each type of mapper; with closures as parameters that was a third of a test program.
struct Walk<'a> {
    path: Path,
    same: Same,
    change: &'a mut dyn FnMut(&mut Place<'_>) -> Option<New>,
    /// Whether tensors are on the host; looked up at the first one.
    on_host: Option<bool>,
}

impl ModuleMapper for Walk<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Self {
            path,
            same,
            change,
            on_host,
        } = self;
        let tensor = same.or(id, tensor, |tensor| {
            let context = Context::of(&tensor);
            let plain = tensor.inner();
            let mut place = Place {
                id,
                path,
                context,
                value: &|| flatten(plain.clone()),
            };
            let new = change(&mut place);
            let context = place.context;
            let mut on_host = || *on_host.get_or_insert_with(|| super::on_host(&plain.device()));
            let new = match new {
                Some(New::Value(new)) => new.reshape(plain.shape()).cast(plain.dtype()),
                Some(New::Sum(step)) => sum(plain.clone(), step, on_host()),
                None if D == 1 => plain,
                // On the host also an old value is laid out by rows. A weight that was transposed
                // when it was made or loaded would be multiplied in another order than after its
                // first step. Elsewhere equal bits are not promised, and each operation is a
                // launch.
                None if !on_host() => plain,
                None => flatten(plain.clone()).reshape(plain.shape()),
            };
            context.lift(new, id)
        });
        Param::from_mapped_value(id, tensor, mapper)
    }
}
