//! What a forward pass takes and returns.

use burn::tensor::{Bool, Int, Tensor};

/// Tensors that a forward pass takes or returns: one, or a tuple, array or vector of them.
///
/// Implement it for a struct of your own by mapping each of its tensors, always in the same order:
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use zosam::compile::{TensorMapper, Tensors};
///
/// #[derive(Clone)]
/// struct Text {
///     tokens: Tensor<2, Int>,
///     weights: Tensor<2>,
/// }
///
/// impl Tensors for Text {
///     fn map_tensors(self, mapper: &mut impl TensorMapper) -> Self {
///         Self {
///             tokens: mapper.map_int(self.tokens),
///             weights: mapper.map_float(self.weights),
///         }
///     }
/// }
/// ```
pub trait Tensors: Clone {
    /// The same with every tensor mapped.
    #[must_use]
    fn map_tensors(self, mapper: &mut impl TensorMapper) -> Self;
}

/// What is done to the tensors of a [`Tensors`].
pub trait TensorMapper {
    /// Maps a tensor of floats.
    fn map_float<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D>;
    /// Maps a tensor of whole numbers.
    fn map_int<const D: usize>(&mut self, tensor: Tensor<D, Int>) -> Tensor<D, Int>;
    /// Maps a tensor of truth values.
    fn map_bool<const D: usize>(&mut self, tensor: Tensor<D, Bool>) -> Tensor<D, Bool>;
}

impl<const D: usize> Tensors for Tensor<D> {
    fn map_tensors(self, mapper: &mut impl TensorMapper) -> Self {
        mapper.map_float(self)
    }
}

impl<const D: usize> Tensors for Tensor<D, Int> {
    fn map_tensors(self, mapper: &mut impl TensorMapper) -> Self {
        mapper.map_int(self)
    }
}

impl<const D: usize> Tensors for Tensor<D, Bool> {
    fn map_tensors(self, mapper: &mut impl TensorMapper) -> Self {
        mapper.map_bool(self)
    }
}

impl<T: Tensors> Tensors for Vec<T> {
    fn map_tensors(self, mapper: &mut impl TensorMapper) -> Self {
        let tensors = self.into_iter();
        tensors.map(|tensor| tensor.map_tensors(mapper)).collect()
    }
}

impl<T: Tensors> Tensors for Option<T> {
    fn map_tensors(self, mapper: &mut impl TensorMapper) -> Self {
        self.map(|tensor| tensor.map_tensors(mapper))
    }
}

impl<T: Tensors, const N: usize> Tensors for [T; N] {
    fn map_tensors(self, mapper: &mut impl TensorMapper) -> Self {
        self.map(|tensor| tensor.map_tensors(mapper))
    }
}

macro_rules! tuples {
    ($(($($name:ident $at:tt),+))+) => {
        $(impl<$($name: Tensors),+> Tensors for ($($name,)+) {
            fn map_tensors(self, mapper: &mut impl TensorMapper) -> Self {
                ($(self.$at.map_tensors(mapper),)+)
            }
        })+
    };
}
tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}
