//! What compiling does to the tensors of a forward pass.

use burn::backend::capture::{CaptureBackend, TensorId};
use burn::tensor::kind::{Autodiff, Basic};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::tensors::{TensorMapper, Tensors};

/// Implements a mapper by one function for tensors of every kind.
macro_rules! mapper {
    ($mapper:ty, $function:ident) => {
        impl TensorMapper for $mapper {
            fn map_float<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D> {
                self.$function(tensor)
            }

            fn map_int<const D: usize>(&mut self, tensor: Tensor<D, Int>) -> Tensor<D, Int> {
                self.$function(tensor)
            }

            fn map_bool<const D: usize>(&mut self, tensor: Tensor<D, Bool>) -> Tensor<D, Bool> {
                self.$function(tensor)
            }
        }
    };
}

/// Moves tensors to a device, without autodiff.
struct Moved<'a>(&'a Device);

impl Moved<'_> {
    fn moved<const D: usize, K: Autodiff>(&self, tensor: Tensor<D, K>) -> Tensor<D, K> {
        tensor.without_autodiff().to_device(self.0)
    }
}
mapper!(Moved<'_>, moved);

pub(super) fn moved<T: Tensors>(tensors: T, device: &Device) -> T {
    tensors.map_tensors(&mut Moved(device))
}

/// One image of each tensor, by its number.
struct Image(usize);

impl Image {
    fn image<const D: usize, K: Basic>(&self, tensor: Tensor<D, K>) -> Tensor<D, K> {
        tensor.narrow(0, self.0, 1)
    }
}
mapper!(Image, image);

pub(super) fn image<T: Tensors>(tensors: &T, number: usize) -> T {
    tensors.clone().map_tensors(&mut Image(number))
}

/// Each tensor's image twice, first back to front, so that both differ.
struct Doubled;

impl Doubled {
    fn doubled<const D: usize, K: Basic>(&self, tensor: Tensor<D, K>) -> Tensor<D, K> {
        let axes: Vec<isize> = (1..D as isize).collect();
        let turned = axes
            .iter()
            .fold(tensor.clone(), |tensor, axis| tensor.flip([*axis]));
        Tensor::cat(vec![turned, tensor], 0)
    }
}
mapper!(Doubled, doubled);

pub(super) fn doubled<T: Tensors>(tensors: &T) -> T {
    tensors.clone().map_tensors(&mut Doubled)
}

/// The numbers of tensors.
#[derive(Default)]
struct Numbers(Vec<TensorData>);

impl Numbers {
    fn read<const D: usize, K: Basic>(&mut self, tensor: Tensor<D, K>) -> Tensor<D, K> {
        self.0.push(tensor.to_data());
        tensor
    }
}
mapper!(Numbers, read);

pub(super) fn numbers<T: Tensors>(tensors: &T) -> Vec<TensorData> {
    let mut numbers = Numbers::default();
    let _ = tensors.clone().map_tensors(&mut numbers);
    numbers.0
}

/// The numbers of tensors on a capture device; none for those that are elsewhere.
#[derive(Default)]
struct Ids(Vec<Option<TensorId>>);

impl TensorMapper for Ids {
    fn map_float<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D> {
        let primitive = tensor.clone().try_into_primitive::<CaptureBackend>();
        self.0.push(primitive.ok().map(|tensor| tensor.id()));
        tensor
    }

    fn map_int<const D: usize>(&mut self, tensor: Tensor<D, Int>) -> Tensor<D, Int> {
        let primitive = tensor.clone().try_into_primitive::<CaptureBackend>();
        self.0.push(primitive.ok().map(|tensor| tensor.id()));
        tensor
    }

    fn map_bool<const D: usize>(&mut self, tensor: Tensor<D, Bool>) -> Tensor<D, Bool> {
        let primitive = tensor.clone().try_into_primitive::<CaptureBackend>();
        self.0.push(primitive.ok().map(|tensor| tensor.id()));
        tensor
    }
}

pub(super) fn ids<T: Tensors>(tensors: &T) -> Vec<Option<TensorId>> {
    let mut ids = Ids::default();
    let _ = tensors.clone().map_tensors(&mut ids);
    ids.0
}
