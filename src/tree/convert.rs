//! Copies of a model that compute something else.

use std::collections::HashMap;

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, FloatDType, Tensor};

use super::tied::Same;
use super::walk::Context;
use super::{ParamVector, replace, twin};

/// One type for all closures, because burn compiles a mapper for each of nine ranks.
struct Convert<'a> {
    /// A tensor's float type to be; `None` for the one it has.
    kind: &'a dyn Fn(ParamId) -> Option<FloatDType>,
    absolute: bool,
    same: Same,
}

impl<'a> Convert<'a> {
    fn new(kind: &'a dyn Fn(ParamId) -> Option<FloatDType>) -> Self {
        Self {
            kind,
            absolute: false,
            same: Same::default(),
        }
    }
}

impl ModuleMapper for Convert<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let (kind, absolute) = (&self.kind, self.absolute);
        let tensor = self.same.or(id, tensor, |tensor| {
            let context = Context::of(&tensor);
            let plain = tensor.inner();
            let plain = match kind(id) {
                Some(kind) => plain.cast(kind),
                None => plain,
            };
            let plain = if absolute { plain.abs() } else { plain };
            context.lift(plain, id)
        });
        Param::from_mapped_value(id, tensor, mapper)
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        match self.absolute {
            true => flag.with_value(false),
            false => flag,
        }
    }
}

/// The isolated twin of a model with all float tensors, running statistics included, of another
/// type.
pub(crate) fn cast<M: Module>(model: &M, dtype: FloatDType) -> M {
    twin(model).map(&mut Convert::new(&|_| Some(dtype)))
}

/// As [`cast`], of absolute values and with norms in inference mode; gradients can still be taken.
pub(crate) fn absolute<M: Module>(model: &M, dtype: FloatDType) -> M {
    twin(model).map(&mut Convert {
        absolute: true,
        ..Convert::new(&|_| Some(dtype))
    })
}

/// The float types that parameters had.
pub(crate) type Types = HashMap<ParamId, FloatDType>;

struct Narrow {
    than: DType,
    types: Types,
}

impl ModuleVisitor for Narrow {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.base();
        if value.is_require_grad() && value.dtype().size() < self.than.size() {
            self.types.insert(param.id, value.dtype().into());
        }
    }
}

/// The model with trainable parameters of narrower types in a type, and the types that they had.
pub(crate) fn widened<M: Module>(model: M, dtype: FloatDType) -> (M, Types) {
    let mut narrow = Narrow {
        than: dtype.into(),
        types: Types::new(),
    };
    model.visit(&mut narrow);
    let types = narrow.types;
    let model = match types.is_empty() {
        true => model,
        false => {
            let kind = |id| types.contains_key(&id).then_some(dtype);
            model.map(&mut Convert::new(&kind))
        }
    };
    (model, types)
}

/// The inverse of [`widened`].
pub(crate) fn narrowed<M: Module>(model: M, types: &Types) -> M {
    match types.is_empty() {
        true => model,
        false => model.map(&mut Convert::new(&|id| types.get(&id).copied())),
    }
}

/// A model whose trainable parameters are the components of a vector, zero where it has none, and
/// need no gradient.
pub(crate) fn direction<M: Module>(model: &M, vector: &ParamVector) -> M {
    let component = |id, value: Tensor<1>| {
        let component = vector.get(id);
        Some(component.unwrap_or_else(|| value.zeros_like()))
    };
    replace(twin(model), component).no_grad()
}
