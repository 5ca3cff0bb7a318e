//! GraSP: keeping the flow of gradients.

use serde::{Deserialize, Serialize};

use crate::error::{Result, check};
use crate::sparse::parts::{Budget, Draw, GradientFlow, Parts, Recipe};

/// Removes the weights with the largest `−θ ⊙ H g`: those whose loss reduces the norm of the
/// gradient least, or raises it.
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1) |
/// | `temperature` | 200 | > 0 |
/// | `budget` | global | |
///
/// `g` is the gradient of the cross-entropy of logits divided by the temperature, over all sparse
/// weights, and `H` its Hessian, both in training mode and summed over the batches of a
/// [`Classification`](crate::sparse::Classification), which also says how the product is computed.
/// The authors take ten images of each of CIFAR-10's classes, in two batches of disjoint classes,
/// as `data::balanced` draws them.
///
/// Wang et al., "Picking Winning Tickets Before Training by Preserving Gradient Flow", ICLR 2020
/// (arXiv 2002.07376). The authors' code scores a copy whose linear layers are drawn anew by
/// Xavier's rule; here the weights that are scored are those that are trained, as in the paper's
/// text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grasp {
    /// Share of dead weights.
    pub sparsity: f64,
    /// Divisor of the logits.
    pub temperature: f64,
    /// Over what weights compete.
    pub budget: Budget,
}

impl Grasp {
    /// GraSP with the paper's global budget: exactly `round((1 − S) N)` live weights.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            temperature: 200.0,
            budget: Budget::Global,
        }
    }

    /// Sets the divisor of the logits.
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Sets over what weights compete.
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}

impl Recipe for Grasp {
    fn parts(&self, draw: Draw) -> Parts {
        Parts {
            budget: self.budget,
            start: Box::new(GradientFlow {
                temperature: self.temperature,
            }),
            ..Parts::once("grasp", self.sparsity, draw)
        }
    }

    fn check(&self) -> Result<()> {
        let temperature = self.temperature;
        check("temperature", temperature, temperature > 0.0, "above 0")
    }
}
