//! How often a forward pass uses each weight: what multiply-adds are counted by.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Device;

use super::config::record;
use super::mappers::{image, moved};
use super::tensors::Tensors;
use crate::error::Result;
use crate::inference::graph::{Graph, Id, Node, Operation};

/// How often a forward pass for one image uses each weight of a module's layers, by their paths.
///
/// A weight of a convolution is used once for each output pixel, of a linear layer once for each row (or token), of a transposed
/// convolution once for each input pixel; layers that run several times (the steps of an LSTM) add up.
///
/// ```
/// use burn::{nn::conv::{Conv2d, Conv2dConfig}, tensor::{Device, Tensor}};
/// use zosam::compile::Uses;
///
/// let conv = Conv2dConfig::new([3, 8], [3, 3]).init(&Device::flex());
/// let sample = Tensor::<4>::zeros([1, 3, 10, 12], &Device::flex());
/// let uses = Uses::of(&conv, sample, |conv: &Conv2d, x| conv.forward(x))?;
/// assert_eq!(uses.of_path("weight"), Some(8 * 10));
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uses {
    weights: BTreeMap<String, u64>,
    other: u64,
}

impl Uses {
    /// Counts in a forward pass of the sample's first image, recorded and not run.
    ///
    /// # Errors
    ///
    /// If it cannot be recorded.
    pub fn of<M: Module, I: Tensors, O: Tensors>(
        module: &M,
        sample: I,
        forward: impl Fn(&M, I) -> O,
    ) -> Result<Self> {
        let sample = image(&moved(sample, &Device::flex()), 0);
        let graph = record(module, &sample, &forward, true)?;
        let mut uses = Self {
            weights: BTreeMap::new(),
            other: 0,
        };
        for node in &graph.nodes {
            uses.count(&graph, node);
        }
        Ok(uses)
    }

    /// How often each weight of a path is used; none of what is no layer's weight.
    pub fn of_path(&self, path: &str) -> Option<u64> {
        self.weights.get(path).copied()
    }

    /// Paths of weights with how often each is used.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let weights = self.weights.iter();
        weights.map(|(path, uses)| (path.as_str(), *uses))
    }

    /// Multiply-adds of products of two tensors that are both computed, as in attention: no weight's.
    pub fn between_activations(&self) -> u64 {
        self.other
    }

    fn count(&mut self, graph: &Graph, node: &Node) {
        let numbers = |id: Id| graph.shape(id).iter().product::<usize>() as u64;
        let (x, y) = match (node.inputs.first(), node.outputs.first()) {
            (Some(x), Some(y)) => (*x, *y),
            _ => return,
        };
        let uses = match &node.operation {
            Operation::Conv { .. } => numbers(y) / graph.shape(y)[1] as u64,
            Operation::ConvTranspose { .. } => numbers(x) / graph.shape(x)[1] as u64,
            Operation::Linear { .. } => numbers(x) / graph.shape(x).last().map_or(1, |n| *n as u64),
            Operation::MatMul => {
                let shared = graph.shape(x).last().map_or(1, |n| *n as u64);
                self.other += numbers(y) * shared;
                return;
            }
            _ => return,
        };
        match graph.path(node.inputs[1]) {
            Some(path) => *self.weights.entry(path.to_string()).or_default() += uses,
            None => self.other += uses * numbers(node.inputs[1]),
        }
    }
}
