//! SNIP: pruning by connection sensitivity before training.

use serde::{Deserialize, Serialize};

use crate::sparse::parts::{Budget, Draw, Parts, Recipe, Saliency};

/// Keeps the weights with the largest `|w · ∂L/∂w|` at initialisation.
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1) |
/// | `budget` | global | |
///
/// Lee et al., "SNIP: Single-shot Network Pruning based on Connection Sensitivity", ICLR 2019
/// (arXiv 1810.02340). As in the later literature, and unlike the authors' code, biases are not
/// pruned, the weights that were scored are the ones that are trained, and the gradient is that of
/// a training forward pass, with batch statistics, on one batch or summed over several
/// ([`attach_over`](crate::Sparsity::attach_over)). A global budget can leave a layer without live
/// weights at extreme sparsities, which the report warns of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snip {
    /// Share of dead weights.
    pub sparsity: f64,
    /// Whether all weights compete, or those of each layer.
    pub budget: Budget,
}

impl Snip {
    /// SNIP with the paper's global budget: exactly `round((1 − S) N)` live weights.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            budget: Budget::Global,
        }
    }

    /// Sets over what weights compete.
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}

impl Recipe for Snip {
    fn parts(&self, draw: Draw) -> Parts {
        Parts {
            budget: self.budget,
            start: Box::new(Saliency),
            ..Parts::once("snip", self.sparsity, draw)
        }
    }
}
