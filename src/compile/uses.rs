//! How often a forward pass uses each weight: what multiply-adds are counted by.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Device;

use super::config::record;
use super::mappers::{image, moved};
use super::tensors::Tensors;
use crate::error::Result;
use crate::inference::graph::{Graph, Node, work};

/// How often a forward pass for one image uses each weight of a module's layers, by their paths.
///
/// A weight of a convolution is used once for each output pixel, of a linear layer once for each
/// row (or token), of a transposed convolution once for each input pixel; layers that run several
/// times (the steps of an LSTM) add up.
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

    /// Multiply-adds of products of two tensors that are both computed, as in attention: no
    /// weight's.
    pub fn between_activations(&self) -> u64 {
        self.other
    }

    fn count(&mut self, graph: &Graph, node: &Node) {
        self.other += work::between(graph, node);
        let Some(uses) = work::uses(graph, node) else {
            return;
        };
        let weight = node.inputs[1];
        match graph.path(weight) {
            Some(path) => *self.weights.entry(path.to_string()).or_default() += uses,
            None => self.other += uses * graph.tensors[weight].count() as u64,
        }
    }
}
