//! How to compute a convolution with the mask in scope: what its layers share.

use std::sync::Arc;

use burn::module::Param;
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

use crate::kernels::ConvShape;
use crate::nn::flex::{Conv, structures};
use crate::nn::meter::Meter;
use crate::nn::{crossover, is_sparse, scope_for};

/// The products of a convolution with a layer's weight, and the layer's meter; `None` without a
/// mask, or where the kernels do not go.
///
/// The weight's numbers are those of `shape`, which is asked for where there is a mask.
pub(super) fn products<const D: usize>(
    input: &Tensor<D>,
    weight: &Param<Tensor<D>>,
    shape: impl FnOnce() -> Option<ConvShape>,
) -> Option<(Conv, Arc<Meter>)> {
    let (scope, id) = (scope_for(input, weight)?, weight.id);
    let (density, meter) = (scope.masks.density(id)?, scope.masks.lasting(id)?);
    let shape = shape()?;
    let crossover = crossover::conv(&shape);
    let structure = match is_sparse(scope.execution, density, crossover) {
        true => structures::conv(&scope.masks, id, shape),
        false => None,
    };
    // Where the kernels are faster than dense arithmetic even without a dead weight, they make
    // dense gradients, too.
    let gradient = match scope.dense_gradient {
        true if crossover > 1.0 => structures::whole_conv(&scope.masks, id, shape),
        true => None,
        false => structure.clone(),
    };
    let options = ConvOptions::new(shape.stride, shape.padding, shape.dilation, shape.groups);
    let products = Conv {
        structure,
        gradient,
        options,
    };
    Some((products, meter))
}

/// Zeros on either side of an axis whose padding is burn's `Same`; `None` where the sides differ.
pub(super) fn same(input: usize, kernel: usize, stride: usize) -> Option<usize> {
    let steps = input.div_ceil(stride).saturating_sub(1);
    let both = (steps * stride + kernel).saturating_sub(input);
    both.is_multiple_of(2).then_some(both / 2)
}
