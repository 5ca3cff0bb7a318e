//! The products of a transposed convolution.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::{ConvTransposeOptions, ModuleOps};

use super::conv::Conv;
use super::masked::Products;
use crate::nn::meter::Product;

/// How to compute a transposed convolution without its bias: as the input gradient of the
/// convolution with the same weight, whose input is this one's output.
#[derive(Debug)]
pub(crate) struct ConvTranspose {
    /// The convolution that goes the other way.
    pub conv: Conv,
    /// Outputs that the sizes of that convolution leave open.
    pub padding_out: [usize; 2],
}

impl Products for ConvTranspose {
    fn forward(&self, input: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        self.conv.transposed(input, weight).unwrap_or_else(|| {
            let options = ConvTransposeOptions::new(
                self.conv.options.stride,
                self.conv.options.padding.map(|(before, _)| before),
                self.padding_out,
                self.conv.options.dilation,
                self.conv.options.groups,
            );
            Flex::conv_transpose2d(input.clone(), weight.clone(), None, options)
        })
    }

    fn input_gradient(
        &self,
        _input: &FlexTensor,
        weight: &FlexTensor,
        output_gradient: &FlexTensor,
    ) -> FlexTensor {
        self.conv.forward(output_gradient, weight)
    }

    fn weight_gradient(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output_gradient: &FlexTensor,
    ) -> FlexTensor {
        self.conv.weight_gradient(output_gradient, weight, input)
    }

    fn is_sparse(&self, product: Product) -> bool {
        self.conv.is_sparse(product)
    }
}
