//! The kernels as operations of burn's flex backend, with their backward passes.
//!
//! burn's tensors find their backend at run time; [`KernelOps`] is the extension that they are
//! dispatched to. Other backends never get here: the layers ask [`takes`] first.

mod conv;
mod conv_transpose;
mod layer_norm;
mod linear;
mod map;
mod masked;
mod norm;
pub(super) mod structures;

pub(super) use conv::Conv;
pub(super) use conv_transpose::ConvTranspose;
pub(super) use linear::Linear;
pub(super) use map::Gelu;
pub(super) use masked::Plan;
pub(super) use norm::NormPlan;

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::module::ParamId;
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::masks::Masks;
use map::Map;

/// A function of one tensor.
#[derive(Debug, Clone)]
pub(crate) struct Function(Arc<dyn Map>);

/// What the layers need beyond burn's own operations.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait KernelOps: Backend {
    /// A layer whose weight is masked, without its bias.
    fn masked(input: FloatTensor<Self>, weight: FloatTensor<Self>, plan: Plan)
    -> FloatTensor<Self>;

    /// Batch norm: output, mean and variance.
    fn norm(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        plan: NormPlan,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The same with a residual. An operation of its own, because burn's extensions take no
    /// optional tensor.
    fn norm_onto(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        plan: NormPlan,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Layer norm over the last axis.
    fn layer_normed(
        input: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    /// A function of one tensor.
    fn mapped(input: FloatTensor<Self>, function: Function) -> FloatTensor<Self>;
}

/// A function of one tensor.
pub(super) fn mapped<const D: usize>(input: Tensor<D>, function: impl Map + 'static) -> Tensor<D> {
    let function = Function(Arc::new(function));
    Tensor::from_dispatch(Dispatch::mapped(input.into_dispatch(), function))
}

/// A layer whose weight is masked, without its bias.
pub(super) fn product<const D: usize>(
    input: Tensor<D>,
    weight: Tensor<D>,
    plan: Plan,
) -> Tensor<D> {
    let (input, weight) = (input.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(Dispatch::masked(input, weight, plan))
}

/// A tensor with gradients.
type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

/// Whether the kernels can compute with a tensor.
pub(super) fn takes<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && tensor.device() == Device::flex()
}

/// Whether a weight is zero wherever its mask says dead.
pub(super) fn is_described<const D: usize>(masks: &Masks, id: ParamId, weight: Tensor<D>) -> bool {
    let weight = match weight.is_autodiff() {
        true => weight.inner(),
        false => weight,
    };
    let weight = weight.try_into_primitive::<Flex>();
    let weight = contiguous(&weight.expect("a tensor on flex, as `takes` has checked"));
    masks.describes(id, numbers(&weight)) == Some(true)
}

/// The tensor's numbers in row-major order.
fn contiguous(tensor: &FlexTensor) -> FlexTensor {
    match tensor.as_slice::<f32>() {
        Some(_) => tensor.clone(),
        None => tensor.to_contiguous(),
    }
}

/// The numbers of a tensor that went through [`contiguous`].
fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("a contiguous tensor of f32, as `takes` has checked")
}

fn tensor<const D: usize>(numbers: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape))
}

impl KernelOps for Flex {
    fn masked(input: FlexTensor, weight: FlexTensor, plan: Plan) -> FlexTensor {
        masked::forward(input, weight, &plan)
    }

    fn norm(
        input: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        plan: NormPlan,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        norm::forward(input, gamma, beta, None, plan)
    }

    fn norm_onto(
        input: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        residual: FlexTensor,
        plan: NormPlan,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        norm::forward(input, gamma, beta, Some(residual), plan)
    }

    fn layer_normed(
        input: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
    ) -> FlexTensor {
        layer_norm::forward([input, gamma, beta], epsilon)
    }

    fn mapped(input: FlexTensor, function: Function) -> FlexTensor {
        map::forward(&input, &*function.0)
    }
}

impl<C: CheckpointStrategy> KernelOps for Autodiff<Flex, C> {
    fn masked(input: Tracked<C>, weight: Tracked<C>, plan: Plan) -> Tracked<C> {
        masked::tracked::<C>(input, weight, plan)
    }

    fn norm(
        input: Tracked<C>,
        gamma: Tracked<C>,
        beta: Tracked<C>,
        plan: NormPlan,
    ) -> (Tracked<C>, Tracked<C>, Tracked<C>) {
        norm::tracked::<C, 3>([input, gamma, beta], plan)
    }

    fn norm_onto(
        input: Tracked<C>,
        gamma: Tracked<C>,
        beta: Tracked<C>,
        residual: Tracked<C>,
        plan: NormPlan,
    ) -> (Tracked<C>, Tracked<C>, Tracked<C>) {
        norm::tracked::<C, 4>([input, gamma, beta, residual], plan)
    }

    fn layer_normed(
        input: Tracked<C>,
        gamma: Tracked<C>,
        beta: Tracked<C>,
        epsilon: f64,
    ) -> Tracked<C> {
        layer_norm::tracked::<C>([input, gamma, beta], epsilon)
    }

    fn mapped(input: Tracked<C>, function: Function) -> Tracked<C> {
        map::tracked::<C>(input, function.0)
    }
}
