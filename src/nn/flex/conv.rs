//! A convolution whose weight is masked.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::{ConvOptions, ModuleOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};

use super::{contiguous, numbers, tensor};
use crate::kernels::{ConvStructure, Epilogue};
use crate::masks::{Meter, Product};

/// How to compute a convolution.
#[derive(Debug, Clone)]
pub(crate) struct ConvPlan {
    /// The live weights; `None` for burn's dense arithmetic.
    pub structure: Option<Arc<ConvStructure>>,
    /// The weights that get gradients; `None` for burn's dense arithmetic, which gives all of them one.
    pub gradient: Option<Arc<ConvStructure>>,
    pub options: ConvOptions<2>,
    pub meter: Arc<Meter>,
}

impl ConvPlan {
    fn forward(&self, input: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let Some(structure) = &self.structure else {
            return self.meter.time(Product::Forward, false, || {
                Flex::conv2d(input.clone(), weight.clone(), None, self.options.clone())
            });
        };
        self.meter.time(Product::Forward, true, || {
            let shape = structure.shape();
            let images = input.shape()[0];
            let mut output = vec![0.0; images * shape.outputs()];
            let epilogue = Epilogue::default();
            structure
                .forward(numbers(input), numbers(weight), epilogue, &mut output)
                .expect("sizes are those of the plan");
            let [height, width] = shape.output_size();
            tensor(output, [images, shape.channels[1], height, width])
        })
    }

    fn input_gradient(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output_gradient: &FlexTensor,
    ) -> FlexTensor {
        let (weight, options) = (weight.clone(), self.options.clone());
        let Some(structure) = &self.structure else {
            return self.meter.time(Product::InputGradient, false, || {
                Flex::conv2d_x_backward(input.clone(), weight, output_gradient.clone(), options)
            });
        };
        self.meter.time(Product::InputGradient, true, || {
            let shape = structure.shape();
            let images = input.shape()[0];
            let mut gradient = vec![0.0; images * shape.inputs()];
            structure
                .input_gradient(numbers(output_gradient), numbers(&weight), &mut gradient)
                .expect("sizes are those of the plan");
            let [height, width] = shape.input;
            tensor(gradient, [images, shape.channels[0], height, width])
        })
    }

    fn weight_gradient(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output_gradient: &FlexTensor,
    ) -> FlexTensor {
        let Some(structure) = &self.gradient else {
            let options = self.options.clone();
            return self.meter.time(Product::WeightGradient, false, || {
                let (input, weight) = (input.clone(), weight.clone());
                Flex::conv2d_weight_backward(input, weight, output_gradient.clone(), options)
            });
        };
        self.meter.time(Product::WeightGradient, true, || {
            let shape = weight.shape();
            let mut gradient = vec![0.0; shape.num_elements()];
            structure
                .weight_gradient(numbers(input), numbers(output_gradient), &mut gradient)
                .expect("sizes are those of the plan");
            tensor(gradient, [shape[0], shape[1], shape[2], shape[3]])
        })
    }
}

/// A convolution without a graph.
pub(super) fn forward(input: FlexTensor, weight: FlexTensor, plan: &ConvPlan) -> FlexTensor {
    plan.forward(&contiguous(&input), &contiguous(&weight))
}

#[derive(Debug)]
struct MaskedConv;

impl Backward<Flex, 2> for MaskedConv {
    type State = (FlexTensor, FlexTensor, ConvPlan);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [input_node, weight_node] = ops.parents;
        let (input, weight, plan) = ops.state;
        let output_gradient = contiguous(&gradients.consume::<Flex>(&ops.node));
        if let Some(node) = input_node {
            let gradient = plan.input_gradient(&input, &weight, &output_gradient);
            gradients.register::<Flex>(node.id, gradient);
        }
        if let Some(node) = weight_node {
            let gradient = plan.weight_gradient(&input, &weight, &output_gradient);
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}

/// A convolution with a graph.
pub(super) fn tracked<C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<Flex, C>>,
    weight: FloatTensor<Autodiff<Flex, C>>,
    plan: ConvPlan,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (input, input_node) = input.into_parts();
    let (weight, weight_node) = weight.into_parts();
    let (input, weight) = (contiguous(&input), contiguous(&weight));
    let output = plan.forward(&input, &weight);
    let prepared = MaskedConv.prepare::<C>([input_node, weight_node]);
    match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((input, weight, plan), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}
