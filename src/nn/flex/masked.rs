//! A product with a masked weight, and its backward pass: what convolutions and linear layers
//! share.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;

use super::{Tracked, contiguous};
use crate::nn::meter::{Meter, Product};

/// The three products of a layer's training. Tensors are contiguous.
pub(crate) trait Products: Debug + Send + Sync {
    fn forward(&self, input: &FlexTensor, weight: &FlexTensor) -> FlexTensor;

    fn input_gradient(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output_gradient: &FlexTensor,
    ) -> FlexTensor;

    fn weight_gradient(
        &self,
        input: &FlexTensor,
        weight: &FlexTensor,
        output_gradient: &FlexTensor,
    ) -> FlexTensor;

    /// Whether the kernels make a product, not burn's dense arithmetic.
    fn is_sparse(&self, product: Product) -> bool;
}

/// How to compute a layer with a masked weight.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub products: Arc<dyn Products>,
    pub meter: Arc<Meter>,
}

impl Plan {
    fn forward(&self, input: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        self.timed(Product::Forward, || self.products.forward(input, weight))
    }

    fn timed(&self, product: Product, compute: impl FnOnce() -> FlexTensor) -> FlexTensor {
        let sparse = self.products.is_sparse(product);
        self.meter.time(product, sparse, compute)
    }
}

/// Without a graph.
pub(super) fn forward(input: FlexTensor, weight: FlexTensor, plan: &Plan) -> FlexTensor {
    plan.forward(&contiguous(&input), &contiguous(&weight))
}

#[derive(Debug)]
struct Masked;

impl Backward<Flex, 2> for Masked {
    type State = (FlexTensor, FlexTensor, Plan);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [input_node, weight_node] = ops.parents;
        let (input, weight, plan) = ops.state;
        let output = contiguous(&gradients.consume::<Flex>(&ops.node));
        if let Some(node) = input_node {
            let compute = || plan.products.input_gradient(&input, &weight, &output);
            let gradient = plan.timed(Product::InputGradient, compute);
            gradients.register::<Flex>(node.id, gradient);
        }
        if let Some(node) = weight_node {
            let compute = || plan.products.weight_gradient(&input, &weight, &output);
            let gradient = plan.timed(Product::WeightGradient, compute);
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}

/// With a graph.
pub(super) fn tracked<C: CheckpointStrategy>(
    input: Tracked<C>,
    weight: Tracked<C>,
    plan: Plan,
) -> Tracked<C> {
    let (input, input_node) = input.into_parts();
    let (weight, weight_node) = weight.into_parts();
    let (input, weight) = (contiguous(&input), contiguous(&weight));
    let output = plan.forward(&input, &weight);
    let prepared = Masked.prepare::<C>([input_node, weight_node]);
    match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((input, weight, plan), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}
