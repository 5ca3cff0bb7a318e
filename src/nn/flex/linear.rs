//! A linear layer whose weight is masked.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};

use super::{contiguous, numbers, tensor};
use crate::kernels::LinearStructure;
use crate::masks::{Meter, Product};

/// How to compute a linear layer without its bias: input `[examples, inputs]`, weight `[inputs, outputs]`.
#[derive(Debug, Clone)]
pub(crate) struct LinearPlan {
    /// The live weights; `None` for burn's dense arithmetic.
    pub structure: Option<Arc<LinearStructure>>,
    /// Whether dead weights get gradients, too: that product alone is dense then.
    pub dense_gradient: bool,
    pub meter: Arc<Meter>,
}

impl LinearPlan {
    fn forward(&self, input: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let Some(structure) = &self.structure else {
            return self.meter.time(Product::Forward, false, || {
                Flex::float_matmul(input.clone(), weight.clone())
            });
        };
        self.meter.time(Product::Forward, true, || {
            let shape = [input.shape()[0], weight.shape()[1]];
            let output = structure.output(numbers(input), numbers(weight));
            tensor(output.expect("sizes are those of the plan"), shape)
        })
    }

    fn input_gradient(&self, weight: &FlexTensor, output_gradient: &FlexTensor) -> FlexTensor {
        let Some(structure) = &self.structure else {
            return self.meter.time(Product::InputGradient, false, || {
                let transposed = Flex::float_transpose(weight.clone());
                Flex::float_matmul(output_gradient.clone(), transposed)
            });
        };
        self.meter.time(Product::InputGradient, true, || {
            let shape = [output_gradient.shape()[0], weight.shape()[0]];
            let gradient = structure.gradient_of_input(numbers(output_gradient), numbers(weight));
            tensor(gradient.expect("sizes are those of the plan"), shape)
        })
    }

    fn weight_gradient(&self, input: &FlexTensor, output_gradient: &FlexTensor) -> FlexTensor {
        let sparse = self.structure.as_ref().filter(|_| !self.dense_gradient);
        let Some(structure) = sparse else {
            return self.meter.time(Product::WeightGradient, false, || {
                let transposed = Flex::float_transpose(input.clone());
                Flex::float_matmul(transposed, output_gradient.clone())
            });
        };
        self.meter.time(Product::WeightGradient, true, || {
            let shape = [input.shape()[1], output_gradient.shape()[1]];
            let mut gradient = vec![0.0; shape[0] * shape[1]];
            structure
                .weight_gradient(numbers(input), numbers(output_gradient), &mut gradient)
                .expect("sizes are those of the plan");
            tensor(gradient, shape)
        })
    }
}

/// A linear layer without a graph.
pub(super) fn forward(input: FlexTensor, weight: FlexTensor, plan: &LinearPlan) -> FlexTensor {
    plan.forward(&contiguous(&input), &contiguous(&weight))
}

#[derive(Debug)]
struct MaskedLinear;

impl Backward<Flex, 2> for MaskedLinear {
    type State = (FlexTensor, FlexTensor, LinearPlan);

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
            let gradient = plan.input_gradient(&weight, &output_gradient);
            gradients.register::<Flex>(node.id, gradient);
        }
        if let Some(node) = weight_node {
            let gradient = plan.weight_gradient(&input, &output_gradient);
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}

/// A linear layer with a graph.
pub(super) fn tracked<C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<Flex, C>>,
    weight: FloatTensor<Autodiff<Flex, C>>,
    plan: LinearPlan,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (input, input_node) = input.into_parts();
    let (weight, weight_node) = weight.into_parts();
    let (input, weight) = (contiguous(&input), contiguous(&weight));
    let output = plan.forward(&input, &weight);
    let prepared = MaskedLinear.prepare::<C>([input_node, weight_node]);
    match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((input, weight, plan), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}
