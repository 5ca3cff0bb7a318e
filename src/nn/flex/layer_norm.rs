//! Layer norm, and its backward pass.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::TensorData;

use super::{Tracked, contiguous, numbers, tensor};
use crate::kernels::layer_norm::LayerNorm;

const CHECKED: &str = "the layer has checked the shapes";

/// Input, `γ` and `β`, contiguous, and `ε`.
#[derive(Debug, Clone)]
pub(super) struct State {
    inputs: [FlexTensor; 3],
    epsilon: f64,
}

impl State {
    fn new(inputs: [FlexTensor; 3], epsilon: f64) -> Self {
        let inputs = inputs.each_ref().map(contiguous);
        Self { inputs, epsilon }
    }

    fn kernel(&self) -> LayerNorm<'_> {
        let [_, gamma, beta] = &self.inputs;
        LayerNorm {
            epsilon: self.epsilon as f32,
            gamma: numbers(gamma),
            beta: numbers(beta),
        }
    }

    fn output(&self) -> FlexTensor {
        let input = &self.inputs[0];
        let mut output = vec![0.0; input.shape().num_elements()];
        let kernel = self.kernel();
        kernel.forward(numbers(input), &mut output).expect(CHECKED);
        FlexTensor::from_data(TensorData::new(output, input.shape()))
    }

    /// Of input, `γ` and `β`.
    fn gradients(&self, output: &FlexTensor) -> [FlexTensor; 3] {
        let input = &self.inputs[0];
        let mut gradient = vec![0.0; input.shape().num_elements()];
        let of_output = numbers(output);
        let [gamma, beta] = self
            .kernel()
            .gradients(numbers(input), of_output, &mut gradient)
            .expect(CHECKED);
        let gradient = FlexTensor::from_data(TensorData::new(gradient, input.shape()));
        let width = [gamma.len()];
        [gradient, tensor(gamma, width), tensor(beta, width)]
    }
}

/// Without a graph.
pub(super) fn forward(inputs: [FlexTensor; 3], epsilon: f64) -> FlexTensor {
    State::new(inputs, epsilon).output()
}

#[derive(Debug)]
struct Norm;

impl Backward<Flex, 3> for Norm {
    type State = State;

    fn backward(
        self,
        ops: Ops<State, 3>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let output = contiguous(&gradients.consume::<Flex>(&ops.node));
        let all = ops.state.gradients(&output);
        for (node, gradient) in ops.parents.into_iter().zip(all) {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

/// With a graph.
pub(super) fn tracked<C: CheckpointStrategy>(inputs: [Tracked<C>; 3], epsilon: f64) -> Tracked<C> {
    let nodes = inputs.each_ref().map(|input| input.node());
    let inputs = inputs.map(|input| input.into_primitive());
    let state = State::new(inputs, epsilon);
    let output = state.output();
    match Norm.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}
