//! Copies of a model that compute something else.

use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::tensor::{FloatDType, Tensor};

use super::replace::Context;
use super::{ParamVector, replace, twin};

struct Convert {
    dtype: FloatDType,
    absolute: bool,
}

impl ModuleMapper for Convert {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let context = Context::of(&tensor);
        let plain = tensor.inner().cast(self.dtype);
        let plain = if self.absolute { plain.abs() } else { plain };
        Param::from_mapped_value(id, context.lift(plain, id), mapper)
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        match self.absolute {
            true => flag.with_value(false),
            false => flag,
        }
    }
}

/// The isolated twin of a model with all float tensors, running statistics included, of another type.
pub(crate) fn cast<M: Module>(model: &M, dtype: FloatDType) -> M {
    twin(model).map(&mut Convert {
        dtype,
        absolute: false,
    })
}

/// As [`cast`], of absolute values and with norms in inference mode; gradients can still be taken.
pub(crate) fn absolute<M: Module>(model: &M, dtype: FloatDType) -> M {
    twin(model).map(&mut Convert {
        dtype,
        absolute: true,
    })
}

/// A model whose trainable parameters are the components of a vector, zero where it has none, and need no gradient.
pub(crate) fn direction<M: Module>(model: &M, vector: &ParamVector) -> M {
    let component = |id, value: Tensor<1>| {
        let component = vector.get(id).cloned();
        Some(component.unwrap_or_else(|| value.zeros_like()))
    };
    replace(twin(model), component).no_grad()
}
