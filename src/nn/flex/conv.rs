//! The products of a convolution.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::ops::{ConvOptions, ModuleOps};
use burn::backend::{Flex, TensorMetadata};

use super::masked::Products;
use super::{numbers, tensor};
use crate::kernels::ConvStructure;
use crate::nn::meter::Product;

/// How to compute a convolution without its bias.
#[derive(Debug)]
pub(crate) struct Conv {
    /// The live weights; `None` for burn's dense arithmetic.
    pub structure: Option<Arc<ConvStructure>>,
    /// The weights that get gradients; `None` for burn's dense arithmetic, which gives all of them
    /// one.
    pub gradient: Option<Arc<ConvStructure>>,
    pub options: ConvOptions<2>,
}

impl Conv {
    /// Input gradients by the kernels; `None` where burn's dense arithmetic makes them.
    pub fn transposed(
        &self,
        output_gradient: &FlexTensor,
        weight: &FlexTensor,
    ) -> Option<FlexTensor> {
        let structure = self.structure.as_ref()?;
        let gradient = structure.gradient_of_input(numbers(output_gradient), numbers(weight));
        let gradient = gradient.expect("sizes are those of the plan");
        let (images, shape) = (output_gradient.shape()[0], structure.shape());
        let [height, width] = shape.input;
        Some(tensor(gradient, [images, shape.channels[0], height, width]))
    }
}

impl Products for Conv {
    fn forward(&self, input: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let Some(structure) = &self.structure else {
            return Flex::conv2d(input.clone(), weight.clone(), None, self.options.clone());
        };
        let shape = structure.shape();
        let output = structure.output(numbers(input), numbers(weight));
        let output = output.expect("sizes are those of the plan");
        let [height, width] = shape.output_size();
        tensor(output, [input.shape()[0], shape.channels[1], height, width])
    }

    fn input_gradient(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output_gradient: &FlexTensor,
    ) -> FlexTensor {
        self.transposed(output_gradient, weight).unwrap_or_else(|| {
            let [input, weight, output] = [input, weight, output_gradient].map(Clone::clone);
            Flex::conv2d_x_backward(input, weight, output, self.options.clone())
        })
    }

    fn weight_gradient(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output_gradient: &FlexTensor,
    ) -> FlexTensor {
        let Some(structure) = &self.gradient else {
            let [input, weight, output] = [input, weight, output_gradient].map(Clone::clone);
            return Flex::conv2d_weight_backward(input, weight, output, self.options.clone());
        };
        let shape = weight.shape();
        let mut gradient = vec![0.0; shape.num_elements()];
        structure
            .weight_gradient(numbers(input), numbers(output_gradient), &mut gradient)
            .expect("sizes are those of the plan");
        tensor(gradient, [shape[0], shape[1], shape[2], shape[3]])
    }

    fn is_sparse(&self, product: Product) -> bool {
        match product {
            Product::Forward | Product::InputGradient => self.structure.is_some(),
            Product::WeightGradient => self.gradient.is_some(),
        }
    }
}
