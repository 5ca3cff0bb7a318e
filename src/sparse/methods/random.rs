//! Static random masks.

use serde::{Deserialize, Serialize};

use crate::sparse::parts::{Budget, Distribution, Draw, Parts, Recipe};

/// Random masks that never change: the baseline that every other method has to beat.
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1) |
/// | `distribution` | ERK | |
///
/// Liu et al., "The Unreasonable Effectiveness of Random Pruning", 2022 (arXiv 2202.02643), with
/// exact counts where their code draws each position on its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomStatic {
    /// Share of dead weights.
    pub sparsity: f64,
    /// Density of each layer.
    pub distribution: Distribution,
}

impl RandomStatic {
    /// Random masks with an Erdős–Rényi-kernel distribution.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            distribution: Distribution::Erk,
        }
    }

    /// Sets the distribution over layers.
    pub fn with_distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }
}

impl Recipe for RandomStatic {
    fn parts(&self, draw: Draw) -> Parts {
        Parts {
            budget: Budget::PerLayer(self.distribution),
            ..Parts::once("random", self.sparsity, draw)
        }
    }
}
