//! The products of a linear layer.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};

use super::masked::Products;
use super::{numbers, tensor};
use crate::kernels::LinearStructure;
use crate::nn::meter::Product;

/// How to compute a linear layer without its bias: input `[examples, inputs]`, weight
/// `[inputs, outputs]`.
#[derive(Debug)]
pub(crate) struct Linear {
    /// The live weights; `None` for burn's dense arithmetic.
    pub structure: Option<Arc<LinearStructure>>,
    /// The weights that get gradients; `None` for burn's dense arithmetic, which gives all of them
    /// one.
    pub gradient: Option<Arc<LinearStructure>>,
}

impl Products for Linear {
    fn forward(&self, input: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let Some(structure) = &self.structure else {
            return Flex::float_matmul(input.clone(), weight.clone());
        };
        let output = structure.output(numbers(input), numbers(weight));
        let shape = [input.shape()[0], weight.shape()[1]];
        tensor(output.expect("sizes are those of the plan"), shape)
    }

    fn input_gradient(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output_gradient: &FlexTensor,
    ) -> FlexTensor {
        let Some(structure) = &self.structure else {
            let transposed = Flex::float_transpose(weight.clone());
            return Flex::float_matmul(output_gradient.clone(), transposed);
        };
        let gradient = structure.gradient_of_input(numbers(output_gradient), numbers(weight));
        let shape = [input.shape()[0], weight.shape()[0]];
        tensor(gradient.expect("sizes are those of the plan"), shape)
    }

    fn weight_gradient(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output_gradient: &FlexTensor,
    ) -> FlexTensor {
        let Some(structure) = &self.gradient else {
            let transposed = Flex::float_transpose(input.clone());
            return Flex::float_matmul(transposed, output_gradient.clone());
        };
        let shape = weight.shape();
        let mut gradient = vec![0.0; shape.num_elements()];
        structure
            .weight_gradient(numbers(input), numbers(output_gradient), &mut gradient)
            .expect("sizes are those of the plan");
        tensor(gradient, [shape[0], shape[1]])
    }

    fn is_sparse(&self, product: Product) -> bool {
        match product {
            Product::Forward | Product::InputGradient => self.structure.is_some(),
            Product::WeightGradient => self.gradient.is_some(),
        }
    }
}
