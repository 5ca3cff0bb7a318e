//! Batch norm, residual and ReLU in one.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex, TensorMetadata};
use burn::tensor::TensorData;

use super::{Tracked, contiguous, numbers, tensor};
use crate::kernels::{BatchNorm, GradientMask, NormFactors, Source};

/// How to normalise.
#[derive(Debug, Clone)]
pub(crate) struct NormPlan {
    pub epsilon: f64,
    /// Whether a ReLU follows.
    pub relu: bool,
    /// Mean and variance to use instead of the batch's.
    pub running: Option<[Vec<f32>; 2]>,
}

/// All that the backward pass needs.
#[derive(Debug, Clone)]
pub(super) struct Normalised {
    input: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    output: FlexTensor,
    has_residual: bool,
    statistics: Arc<[Vec<f32>; 2]>,
    plan: NormPlan,
}

/// Output, mean and variance of a pass without a graph.
pub(super) fn forward(
    input: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    residual: Option<FlexTensor>,
    plan: NormPlan,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    Normalised::new(input, gamma, beta, residual, plan).outputs()
}

impl Normalised {
    fn new(
        input: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        residual: Option<FlexTensor>,
        plan: NormPlan,
    ) -> Self {
        let [input, gamma, beta] = [&input, &gamma, &beta].map(contiguous);
        let residual = residual.as_ref().map(contiguous);
        let kernel = kernel(&input);
        let statistics = plan.running.clone().unwrap_or_else(|| {
            let channels = input.shape()[1];
            let (mut mean, mut variance) = (vec![0.0; channels], vec![0.0; channels]);
            kernel
                .statistics(numbers(&input), &mut mean, &mut variance)
                .expect("one number per channel");
            [mean, variance]
        });
        let factors = factors(&statistics, &gamma, &beta, plan.epsilon);
        let added = residual.as_ref().map(numbers);
        let output = kernel
            .normalised(numbers(&input), factors, added, plan.relu)
            .expect("input, residual and output have one shape");
        let output = FlexTensor::from_data(TensorData::new(output, input.shape()));
        Self {
            has_residual: residual.is_some(),
            statistics: Arc::new(statistics),
            input,
            gamma,
            beta,
            output,
            plan,
        }
    }

    fn outputs(&self) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [mean, variance] = &*self.statistics;
        let channels = [mean.len()];
        let (mean, variance) = (mean.clone(), variance.clone());
        let output = self.output.clone();
        (output, tensor(mean, channels), tensor(variance, channels))
    }

    /// Gradients of input, `γ`, `β` and the residual.
    fn gradients(&self, output_gradient: &FlexTensor) -> [FlexTensor; 4] {
        let (shape, channels) = (self.input.shape(), [self.statistics[0].len()]);
        // Without a ReLU the gradient of the residual is that of the output.
        let apart = self.has_residual && self.plan.relu;
        let mask = match (self.plan.relu, self.has_residual) {
            (false, _) => GradientMask::None,
            (true, false) => GradientMask::Recomputed,
            (true, true) => GradientMask::Output(numbers(&self.output)),
        };
        let source = Source {
            input: numbers(&self.input),
            output_gradient: numbers(output_gradient),
            factors: factors(&self.statistics, &self.gamma, &self.beta, self.plan.epsilon),
            mask,
            batch_statistics: self.plan.running.is_none(),
        };
        let [input, residual, gamma, beta] = kernel(&self.input)
            .new_gradients(source, apart)
            .expect("all shapes are those of the forward pass");
        let whole = |numbers| FlexTensor::from_data(TensorData::new(numbers, shape.clone()));
        let residual = match apart {
            true => whole(residual),
            false => output_gradient.clone(),
        };
        [
            whole(input),
            tensor(gamma, channels),
            tensor(beta, channels),
            residual,
        ]
    }
}

fn kernel(input: &FlexTensor) -> BatchNorm {
    let shape = input.shape();
    let plane = (2..shape.num_dims()).map(|axis| shape[axis]).product();
    BatchNorm::new(shape[1], plane).expect("the layer has checked the shape")
}

fn factors<'a>(
    statistics: &'a [Vec<f32>; 2],
    gamma: &'a FlexTensor,
    beta: &'a FlexTensor,
    epsilon: f64,
) -> NormFactors<'a> {
    NormFactors {
        mean: &statistics[0],
        variance: &statistics[1],
        epsilon,
        gamma: numbers(gamma),
        beta: numbers(beta),
    }
}

/// Of input, `γ` and `β`, and of a residual if there are four parents.
#[derive(Debug)]
struct Norm;

impl<const N: usize> Backward<Flex, N> for Norm {
    type State = Normalised;

    fn backward(
        self,
        ops: Ops<Normalised, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let output_gradient = contiguous(&gradients.consume::<Flex>(&ops.node));
        let all = ops.state.gradients(&output_gradient);
        for (node, gradient) in ops.parents.into_iter().zip(all) {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

/// Output, mean and variance of a pass with a graph; the statistics have none. Inputs are `x`, `γ`,
/// `β` and perhaps a residual.
pub(super) fn tracked<C: CheckpointStrategy, const N: usize>(
    inputs: [Tracked<C>; N],
    plan: NormPlan,
) -> (Tracked<C>, Tracked<C>, Tracked<C>) {
    let nodes = inputs.each_ref().map(|input| input.node());
    let mut inputs = inputs.into_iter().map(|input| input.into_primitive());
    let mut next = || inputs.next();
    let (Some(input), Some(gamma), Some(beta), residual) = (next(), next(), next(), next()) else {
        unreachable!("a norm has at least three inputs");
    };
    let normalised = Normalised::new(input, gamma, beta, residual, plan);
    let (output, mean, variance) = normalised.outputs();
    let prepared = Norm.prepare::<C>(nodes).compute_bound();
    let output = match prepared.stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(normalised, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    let lifted = Autodiff::<Flex, C>::from_inner;
    (output, lifted(mean), lifted(variance))
}
