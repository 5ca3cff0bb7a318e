//! SynFlow: pruning without data, without the collapse of layers.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::masks::LiveSet;
use crate::sparse::evidence::Need;
use crate::sparse::method::{SparsityMethod, no_choice_left};
use crate::sparse::parts::distribution::{check_sparsity, live_budget};
use crate::sparse::parts::one_shot::keep_globally;
use crate::sparse::parts::{Saliency, Score};
use crate::sparse::plan::{GradientUse, Plan};
use crate::sparse::weight::Weight;

/// Keeps the weights with the largest synaptic flow `|θ ⊙ ∂R/∂θ|`, in many small rounds.
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1) |
/// | `rounds` | 100 | 1 to 10,000 |
///
/// `R` sums the outputs of the network for an input of ones, with parameters and running statistics
/// replaced by their absolute values and batch norm in inference mode. Before round `k` of `n` it
/// is measured on the weights still live, of which the best `round(N (1 − S)^(k/n))` stay. Where
/// the device can, it is computed in f64: in deep nets the flow outgrows f32. Where it cannot, a
/// flow that does is computed on the CPU (feature `flex`).
///
/// It looks at no image, but takes their shape from a
/// [`Classification`](crate::sparse::Classification).
///
/// Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic
/// flow", NeurIPS 2020 (arXiv 2006.05467), with the authors' code's treatment of buffers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SynFlow {
    /// Share of dead weights.
    pub sparsity: f64,
    /// Number of rounds.
    pub rounds: u64,
}

impl SynFlow {
    /// SynFlow in the paper's 100 rounds: exactly `round((1 − S) N)` live weights.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            rounds: 100,
        }
    }

    /// Sets the number of rounds.
    pub fn with_rounds(mut self, rounds: u64) -> Self {
        self.rounds = rounds;
        self
    }
}

impl SparsityMethod for SynFlow {
    fn plan(&self) -> Plan {
        Plan::new("synflow", self.sparsity)
            .with_need(Need::SynapticFlow)
            .with_rounds(self.rounds)
            .with_gradients(GradientUse::None)
    }

    fn validate(&self) -> Result<()> {
        check_sparsity(self.sparsity)?;
        match self.rounds {
            1..=10_000 => Ok(()),
            rounds => Err(Error::Config {
                field: "rounds",
                value: rounds.to_string(),
                valid: "1 to 10,000",
            }),
        }
    }

    fn target_densities(&self, _shapes: &[Vec<usize>]) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    fn initial(&mut self, weights: &[Weight], seed: u64) -> Result<Vec<LiveSet>> {
        self.check_budget(weights)?;
        self.refine(0, weights, seed)
    }

    fn start_from(&mut self, _weights: &[Weight]) -> Result<()> {
        Err(no_choice_left(self.plan().name))
    }

    fn refine(&mut self, round: u64, weights: &[Weight], _seed: u64) -> Result<Vec<LiveSet>> {
        let total = weights.iter().map(Weight::len).sum();
        let part = (round + 1) as f64 / self.rounds as f64;
        let keep = match round + 1 == self.rounds {
            true => live_budget(total, self.sparsity),
            false => live_budget(total, 1.0 - (1.0 - self.sparsity).powf(part)),
        };
        let scores = weights.iter().map(|weight| Saliency.checked(weight));
        let scores: Vec<Vec<f32>> = scores.collect::<Result<_>>()?;
        Ok(keep_globally(weights, &scores, keep))
    }
}
