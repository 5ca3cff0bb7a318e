//! What training has cost, by the accounting of the sparse-training papers.

use serde::{Deserialize, Serialize};

use crate::objective::Passes;

/// Multiply-adds per use of a weight, added up over the steps of a run.
///
/// By the accounting of RigL's appendix: a forward pass takes a multiply-add for each live weight,
/// a backward pass one for the gradient of the inputs and one for each weight whose gradient is
/// needed. That is the live ones, all of them on steps whose dense gradient grows weights (which
/// makes RigL's `(3 f_S ΔT + 2 f_S + f_D)/(ΔT + 1)` and SNFS's `2 f_S + f_D`), and those that are
/// trained under Top-KAST. Norms, activations and one-off scoring are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Number of steps.
    pub steps: u64,
    /// Multiply-adds of each layer for each use of a weight.
    pub layers: Vec<u64>,
}

impl Work {
    /// Adds a step: for each layer the number of live weights and of those whose gradient is
    /// needed.
    pub(super) fn add(&mut self, passes: Passes, layers: impl Iterator<Item = (usize, usize)>) {
        self.steps += 1;
        let Passes {
            forwards,
            backwards,
        } = passes;
        for (layer, (live, trained)) in layers.enumerate() {
            if self.layers.len() <= layer {
                self.layers.push(0);
            }
            let (live, trained) = (live as u64, trained as u64);
            self.layers[layer] += (forwards + backwards) * live + backwards * trained;
        }
    }

    /// The share of what as many steps of SGD on the dense layer would have taken; `None` before
    /// the first step.
    pub(super) fn of_dense(&self, layer: usize, total: usize) -> Option<f64> {
        let dense = 3 * self.steps * total as u64;
        let spent = self.layers.get(layer)?;
        (dense > 0).then(|| *spent as f64 / dense as f64)
    }
}
