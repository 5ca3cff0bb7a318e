//! A function of one tensor, and its backward pass.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::TensorData;

use super::{Tracked, contiguous, numbers};
use crate::error::Result;
use crate::kernels::attention::SelfAttention;
use crate::kernels::gelu::{gelu, gelu_gradient};

/// A function whose gradient needs nothing but its input. Slices are whole tensors.
pub(crate) trait Map: Debug + Send + Sync {
    /// The shape of the output, by that of an input.
    fn shape(&self, input: Vec<usize>) -> Vec<usize>;

    fn forward(&self, input: &[f32], output: &mut [f32]) -> Result<()>;

    /// The input's gradient, by the output's.
    fn gradient(&self, input: &[f32], output: &[f32], gradient: &mut [f32]) -> Result<()>;
}

/// `x Φ(x)` of each number.
#[derive(Debug)]
pub(crate) struct Gelu;

impl Map for Gelu {
    fn shape(&self, input: Vec<usize>) -> Vec<usize> {
        input
    }

    fn forward(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        gelu(input, output)
    }

    fn gradient(&self, input: &[f32], output: &[f32], gradient: &mut [f32]) -> Result<()> {
        gelu_gradient(input, output, gradient)
    }
}

/// Of the last axis, queries, keys and values, a third is left.
impl Map for SelfAttention {
    fn shape(&self, mut input: Vec<usize>) -> Vec<usize> {
        if let Some(width) = input.last_mut() {
            *width /= 3;
        }
        input
    }

    fn forward(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        SelfAttention::forward(self, input, output)
    }

    fn gradient(&self, input: &[f32], output: &[f32], gradient: &mut [f32]) -> Result<()> {
        SelfAttention::gradient(self, input, output, gradient)
    }
}

const CHECKED: &str = "sizes that were checked before";

/// Without a graph.
pub(super) fn forward(input: &FlexTensor, map: &dyn Map) -> FlexTensor {
    let input = contiguous(input);
    let shape = map.shape(input.shape().to_vec());
    let mut output = vec![0.0; shape.iter().product()];
    map.forward(numbers(&input), &mut output).expect(CHECKED);
    FlexTensor::from_data(TensorData::new(output, shape))
}

#[derive(Debug)]
struct Mapped;

impl Backward<Flex, 1> for Mapped {
    type State = (FlexTensor, Arc<dyn Map>);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [node] = ops.parents;
        let (input, map) = ops.state;
        let output = contiguous(&gradients.consume::<Flex>(&ops.node));
        let Some(node) = node else { return };
        let mut gradient = vec![0.0; input.shape().num_elements()];
        map.gradient(numbers(&input), numbers(&output), &mut gradient)
            .expect(CHECKED);
        let gradient = FlexTensor::from_data(TensorData::new(gradient, input.shape()));
        gradients.register::<Flex>(node.id, gradient);
    }
}

/// With a graph.
pub(super) fn tracked<C: CheckpointStrategy>(input: Tracked<C>, map: Arc<dyn Map>) -> Tracked<C> {
    let (input, node) = input.into_parts();
    let input = contiguous(&input);
    let output = forward(&input, &*map);
    match Mapped.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((input, map), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}
