//! How sparse a model is, layer by layer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::history::History;
use super::work::Work;
use crate::masks::{LiveSet, Masks, count};
use crate::sparse::parts::Granularity;
use crate::sparse::plan::Plan;
use crate::tree::Leaf;

/// One sparse layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LayerReport {
    /// Dotted path of the weight.
    pub name: String,
    /// Shape in burn's layout.
    pub shape: Vec<usize>,
    /// Output channels of a convolution (of a grouped transposed one, those of a group), output
    /// features of a linear layer.
    #[serde(default)]
    pub outputs: usize,
    /// Density aimed at; absent where layers compete for one budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_density: Option<f64>,
    /// In what units its weights live and die.
    #[serde(default)]
    pub granularity: Granularity,
    /// Number of live weights.
    pub live: usize,
    /// Number of weights.
    pub total: usize,
    /// Number of weights that came to life in the last change of masks.
    #[serde(default)]
    pub grown_last: usize,
    /// Number of live weights that were dead at the start.
    #[serde(default)]
    pub grown_since_start: usize,
    /// Number of weights that were ever live.
    #[serde(default)]
    pub ever_live: usize,
    /// Whether it is frozen: it keeps its mask.
    #[serde(default)]
    pub frozen: bool,
    /// Number of changes of masks in which it kept its mask because it got no gradient.
    #[serde(default)]
    pub without_gradient: u64,
    /// Multiply-adds that training has spent in this layer, relative to as many steps of SGD on a
    /// dense one; absent before the first step. See [`Work`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_work: Option<f64>,
    /// Share of the sparse network's multiply-adds in this layer, where the model says how often
    /// each weight is used.
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
#[non_exhaustive]
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
    /// Trainable parameters of the model, and frozen ones that have a mask: sparse weights, biases,
    /// norms and the rest.
    pub model_weights: usize,
    /// Multiply-adds of the sparse layers relative to the dense ones, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flops_ratio: Option<f64>,
    /// Multiply-adds of training so far, in the sparse layers, relative to as many steps of SGD on
    /// dense ones, where known; see [`Work`]. Lottery tickets count all their levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_flops_ratio: Option<f64>,
}

impl SparsityReport {
    pub(super) fn new(plan: &Plan, masks: &Masks, history: &History, model_weights: usize) -> Self {
        let layers = masks.leaves().enumerate().map(|(i, leaf)| {
            let live = masks
                .live_set(leaf.id)
                .expect("every masked leaf has a set");
            LayerReport {
                name: leaf.path.clone(),
                shape: leaf.shape.clone(),
                outputs: leaf.axes().outputs,
                target_density: None,
                granularity: Granularity::Unstructured,
                live: count(&live),
                total: leaf.len(),
                grown_last: born(&history.before[i], &live),
                grown_since_start: born(&history.start[i], &live),
                ever_live: count(&history.ever[i]),
                frozen: false,
                without_gradient: history.progress.without_gradient_of(&leaf.path),
                training_work: None,
                flops_share: None,
            }
        });
        Self {
            method: plan.name.to_string(),
            target_sparsity: plan.sparsity,
            layers: layers.collect(),
            live_weights: masks.live_weights(),
            prunable_weights: masks.prunable_weights(),
            model_weights,
            flops_ratio: None,
            training_flops_ratio: None,
        }
    }

    /// Adds what each layer aims at.
    pub(super) fn with_aims(
        mut self,
        targets: &[Option<f64>],
        granularities: impl Iterator<Item = Granularity>,
    ) -> Self {
        for ((layer, target), granularity) in self.layers.iter_mut().zip(targets).zip(granularities)
        {
            layer.target_density = *target;
            layer.granularity = granularity;
        }
        self
    }

    /// Adds which layers are frozen.
    pub(super) fn with_frozen(mut self, frozen: &[&Leaf]) -> Self {
        for layer in &mut self.layers {
            layer.frozen = frozen.iter().any(|leaf| leaf.path == layer.name);
        }
        self
    }

    /// Adds what training has cost.
    pub(super) fn with_work(mut self, work: &Work) -> Self {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            layer.training_work = work.of_dense(i, layer.total);
        }
        self
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
            let layers = self.layers.iter().zip(&uses);
            let trained = layers.map(|(layer, uses)| {
                let work = layer.training_work?;
                Some(work * layer.total as f64 * uses)
            });
            let trained: Option<f64> = trained.sum();
            self.training_flops_ratio = trained.map(|trained| trained / dense);
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

    /// Share of the live weights that came to life in the last change of masks.
    pub fn churn(&self) -> f64 {
        self.share_of_live(|layer| layer.grown_last)
    }

    /// Share of the live weights that were dead at the start.
    pub fn churn_since_start(&self) -> f64 {
        self.share_of_live(|layer| layer.grown_since_start)
    }

    /// Share of all prunable weights that were ever live: the exploration rate `R_s` of In-Time
    /// Over-Parameterization (Liu et al., 2021, arXiv 2102.02887).
    pub fn exploration(&self) -> f64 {
        let ever: usize = self.layers.iter().map(|layer| layer.ever_live).sum();
        ever as f64 / self.prunable_weights.max(1) as f64
    }

    fn share_of_live(&self, born: fn(&LayerReport) -> usize) -> f64 {
        let born: usize = self.layers.iter().map(born).sum();
        born as f64 / self.live_weights.max(1) as f64
    }

    /// Layers without a live weight, with fewer than one for each of their outputs, or without a
    /// gradient when masks changed, in words.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for layer in &self.layers {
            let (name, live, total) = (&layer.name, layer.live, layer.total);
            if live == 0 {
                warnings.push(format!(
                    "layer `{name}` has no live weight of {total}: nothing passes through it; lower the sparsity or use per-layer budgets"
                ));
            } else if live < layer.outputs {
                warnings.push(format!(
                    "layer `{name}` has {live} live weights for {} outputs: it is in danger of collapse",
                    layer.outputs
                ));
            }
            if layer.without_gradient > 0 {
                let times = match layer.without_gradient {
                    1 => "1 change".to_string(),
                    times => format!("{times} changes"),
                };
                warnings.push(format!(
                    "layer `{name}` got no gradient in {times} of masks, and kept its mask: the loss of those steps did not depend on it"
                ));
            }
        }
        warnings
    }
}

/// Number of positions that live now and did not before.
fn born(before: &LiveSet, now: &LiveSet) -> usize {
    let pairs = before.iter().zip(now);
    pairs.filter(|(before, now)| **now && !**before).count()
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
        let structured = |layer: &LayerReport| layer.granularity != Granularity::Unstructured;
        let structured = self.layers.iter().any(structured);
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
            write!(
                f,
                "{:width$}  {:>16}  {target:>7}  {:>7.4}  {:>9}  {share:>6}",
                layer.name,
                shape.join("x"),
                layer.density(),
                layer.live
            )?;
            if structured {
                write!(f, "  {}", layer.granularity)?;
            }
            if layer.frozen {
                write!(f, "  frozen")?;
            }
            writeln!(f)?;
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
        if self.layers.iter().any(|layer| layer.ever_live > layer.live) {
            write!(
                f,
                ", {:.1}% of them new since the last change of masks, {:.1}% since the start, {:.1}% of all ever live",
                100.0 * self.churn(),
                100.0 * self.churn_since_start(),
                100.0 * self.exploration()
            )?;
        }
        if let Some(ratio) = self.flops_ratio {
            write!(f, ", {:.1}% of dense FLOPs", 100.0 * ratio)?;
        }
        if let Some(ratio) = self.training_flops_ratio {
            write!(f, ", training {:.1}% of dense SGD's", 100.0 * ratio)?;
        }
        Ok(())
    }
}
