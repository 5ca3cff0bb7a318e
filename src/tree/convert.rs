//! Copies of a model that compute something else.

use burn::module::{Flag, Module, ModuleMapper, Param};
use burn::tensor::{FloatDType, Tensor};

use super::tied::Same;
use super::walk::Context;
use super::{ParamVector, replace, twin};

struct Convert {
    dtype: FloatDType,
    absolute: bool,
    same: Same,
}

impl ModuleMapper for Convert {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let (dtype, absolute) = (self.dtype, self.absolute);
        let tensor = self.same.or(id, tensor, |tensor| {
            let context = Context::of(&tensor);
            let plain = tensor.inner().cast(dtype);
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

/// The isolated twin of a model with all float tensors, running statistics included, of another type.
pub(crate) fn cast<M: Module>(model: &M, dtype: FloatDType) -> M {
    convert(model, dtype, false)
}

/// As [`cast`], of absolute values and with norms in inference mode; gradients can still be taken.
pub(crate) fn absolute<M: Module>(model: &M, dtype: FloatDType) -> M {
    convert(model, dtype, true)
}

fn convert<M: Module>(model: &M, dtype: FloatDType, absolute: bool) -> M {
    twin(model).map(&mut Convert {
        dtype,
        absolute,
        same: Same::default(),
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
