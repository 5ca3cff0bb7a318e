//! How sparse a model is, layer by layer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::SparsityMethod;
use crate::masks::Masks;

/// One sparse layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Dotted path of the weight.
    pub name: String,
    /// Shape in burn's layout.
    pub shape: Vec<usize>,
    /// Density aimed at; absent where layers compete for one budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_density: Option<f64>,
    /// Number of live weights.
    pub live: usize,
    /// Number of weights.
    pub total: usize,
    /// Share of the sparse network's multiply-adds in this layer, where the model says how often each
    /// weight is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flops_share: Option<f64>,
}

impl LayerReport {
    /// Share of live weights.
    pub fn density(&self) -> f64 {
        self.live as f64 / self.total as f64
    }
}

/// How sparse a model is.
///
/// Published sparsities mix two denominators, so both are here: the weights that may be pruned, and
/// all trainable parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SparsityReport {
    /// The method.
    pub method: String,
    /// The sparsity asked for.
    pub target_sparsity: f64,
    /// The sparse layers.
    pub layers: Vec<LayerReport>,
    /// Live weights over all sparse layers.
    pub live_weights: usize,
    /// Weights, live or dead, over all sparse layers.
    pub prunable_weights: usize,
    /// Trainable parameters of the model: sparse weights, biases, norms and the rest.
    pub model_weights: usize,
    /// Multiply-adds of the sparse layers relative to the dense ones, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flops_ratio: Option<f64>,
}

impl SparsityReport {
    pub(super) fn new(
        method: &dyn SparsityMethod,
        masks: &Masks,
        targets: Option<&[f64]>,
        model_weights: usize,
    ) -> Self {
        let layers = masks.leaves().enumerate().map(|(i, leaf)| LayerReport {
            name: leaf.path.clone(),
            shape: leaf.shape.clone(),
            target_density: targets.map(|targets| targets[i]),
            live: masks.live(leaf.id).expect("every masked leaf has a count"),
            total: leaf.len(),
            flops_share: None,
        });
        Self {
            method: method.name().to_string(),
            target_sparsity: method.sparsity(),
            layers: layers.collect(),
            live_weights: masks.live_weights(),
            prunable_weights: masks.prunable_weights(),
            model_weights,
            flops_ratio: None,
        }
    }

    /// Adds the share of multiply-adds, given how often a forward pass uses each weight of a layer:
    /// the number of output pixels for a convolution, 1 for a linear layer. Layers for which it is
    /// unknown are left out.
    pub fn with_uses(mut self, uses: impl Fn(&str) -> Option<u64>) -> Self {
        let uses: Vec<f64> = self
            .layers
            .iter()
            .map(|layer| uses(&layer.name).unwrap_or(0) as f64)
            .collect();
        let total = |count: fn(&LayerReport) -> usize| -> f64 {
            let layers = self.layers.iter().zip(&uses);
            layers.map(|(layer, uses)| count(layer) as f64 * uses).sum()
        };
        let (sparse, dense) = (total(|layer| layer.live), total(|layer| layer.total));
        if sparse > 0.0 {
            self.flops_ratio = Some(sparse / dense);
            for (layer, uses) in self.layers.iter_mut().zip(&uses) {
                layer.flops_share = Some(layer.live as f64 * uses / sparse);
            }
        }
        self
    }

    /// Share of dead weights among those that may be pruned.
    pub fn sparsity_over_prunable(&self) -> f64 {
        let dead = self.prunable_weights - self.live_weights;
        dead as f64 / self.prunable_weights.max(1) as f64
    }

    /// Share of dead weights among all trainable parameters.
    pub fn sparsity_over_model(&self) -> f64 {
        let dead = self.prunable_weights - self.live_weights;
        dead as f64 / self.model_weights.max(1) as f64
    }

    /// Layers without a live weight, in words.
    pub fn warnings(&self) -> Vec<String> {
        let collapsed = self.layers.iter().filter(|layer| layer.live == 0);
        collapsed
            .map(|layer| {
                format!(
                    "layer `{}` has no live weight of {}: nothing passes through it; lower the sparsity or use per-layer budgets",
                    layer.name, layer.total
                )
            })
            .collect()
    }
}

impl fmt::Display for SparsityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.layers.is_empty() {
            return write!(
                f,
                "{}: all {} weights live",
                self.method, self.model_weights
            );
        }
        let width = self.layers.iter().map(|layer| layer.name.len()).max();
        let width = width.unwrap_or(0).max("layer".len());
        writeln!(
            f,
            "{:width$}  {:>16}  {:>7}  {:>7}  {:>9}  {:>6}",
            "layer", "shape", "target", "density", "live", "FLOPs"
        )?;
        for layer in &self.layers {
            let target = layer
                .target_density
                .map_or("-".into(), |t| format!("{t:.4}"));
            let share = layer
                .flops_share
                .map_or("-".into(), |s| format!("{:.1}%", 100.0 * s));
            let shape: Vec<String> = layer.shape.iter().map(usize::to_string).collect();
            writeln!(
                f,
                "{:width$}  {:>16}  {target:>7}  {:>7.4}  {:>9}  {share:>6}",
                layer.name,
                shape.join("x"),
                layer.density(),
                layer.live
            )?;
        }
        write!(
            f,
            "{}: {} of {} prunable weights live, sparsity {:.4} over prunable, {:.4} over model",
            self.method,
            self.live_weights,
            self.prunable_weights,
            self.sparsity_over_prunable(),
            self.sparsity_over_model()
        )?;
        match self.flops_ratio {
            Some(ratio) => write!(f, ", {:.1}% of dense FLOPs", 100.0 * ratio),
            None => Ok(()),
        }
    }
}
