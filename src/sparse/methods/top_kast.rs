//! Top-KAST: training more weights than are live.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check};
use crate::masks::LiveSet;
use crate::sparse::method::SparsityMethod;
use crate::sparse::parts::distribution::{check_sparsity, layer_counts};
use crate::sparse::parts::{Budget, Distribution, Magnitude, Training, one_shot};
use crate::sparse::plan::{GradientUse, Plan};
use crate::sparse::weight::Weight;

/// Uses the largest weights in forward passes, and trains some more, so that these can grow large
/// enough to be used.
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1): dead in forward passes |
/// | `backward_sparsity` | twice as many are trained as are live | [0, `sparsity`]: not even trained |
/// | `every` | 100 steps | ≥ 1 |
/// | `decay` | 1e-4 | ≥ 0 |
/// | `distribution` | uniform | |
///
/// Every weight keeps a latent value. The largest of each layer, the set A, make up the model; the
/// larger set B around it takes gradients, which are those of the sparse model, and moves. Every
/// `every` steps both are chosen anew by the size of the latent values. Values in A decay by
/// `decay`, those in B but not in A by `decay / D` with the density `D = 1 − sparsity`, so that
/// what is not in use has to be wanted to stay; leave the optimizer's own weight decay at 0.
/// Perturbations act on A alone.
///
/// The model that comes out of each step is sparse, but the latent values are as many as a dense
/// model's: this saves arithmetic, not memory.
///
/// Jayakumar et al., "Top-KAST: Top-K Always Sparse Training", NeurIPS 2020 (arXiv 2106.03517),
/// section 2 with its L2 penalty. There is no public code of the authors; the size of the penalty
/// is ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopKast {
    /// Share of weights that are dead in forward passes.
    pub sparsity: f64,
    /// Share of weights that are not even trained.
    pub backward_sparsity: f64,
    /// Steps between choices of the sets.
    pub every: u64,
    /// Decay of live values.
    pub decay: f64,
    /// Density of each layer.
    pub distribution: Distribution,
}

impl TopKast {
    /// Top-KAST with the same density in each layer, which trains twice as many weights as it uses,
    /// about as in the paper's settings.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            backward_sparsity: (2.0 * sparsity - 1.0).max(0.0),
            every: 100,
            decay: 1e-4,
            distribution: Distribution::Uniform,
        }
    }

    /// Sets the share of weights that are not even trained.
    pub fn with_backward_sparsity(mut self, sparsity: f64) -> Self {
        self.backward_sparsity = sparsity;
        self
    }

    /// Sets the steps between choices of the sets.
    pub fn every(mut self, steps: u64) -> Self {
        self.every = steps;
        self
    }

    /// Sets the decay of live values.
    pub fn with_decay(mut self, decay: f64) -> Self {
        self.decay = decay;
        self
    }

    /// Sets the distribution over layers.
    pub fn with_distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }

    fn largest(&self, weights: &[Weight], sparsity: f64) -> Result<Vec<LiveSet>> {
        let budget = Budget::PerLayer(self.distribution);
        one_shot(weights, &Magnitude, sparsity, budget)
    }
}

impl SparsityMethod for TopKast {
    fn plan(&self) -> Plan {
        Plan::new("topkast", self.sparsity).with_gradients(GradientUse::None)
    }

    fn validate(&self) -> Result<()> {
        check_sparsity(self.sparsity)?;
        let backward = self.backward_sparsity;
        let valid = 0.0 <= backward && backward <= self.sparsity;
        let range = "at least 0, at most `sparsity`";
        check("backward_sparsity", backward, valid, range)?;
        check("decay", self.decay, self.decay >= 0.0, "at least 0")?;
        match self.every {
            0 => Err(Error::Config {
                field: "every",
                value: "0".to_string(),
                valid: "at least 1",
            }),
            _ => Ok(()),
        }
    }

    fn target_densities(&self, shapes: &[Vec<usize>]) -> Result<Option<Vec<f64>>> {
        self.distribution.densities(shapes, self.sparsity).map(Some)
    }

    fn check_budget(&self, weights: &[Weight]) -> Result<()> {
        let sparsity = self.sparsity;
        layer_counts(self.distribution, weights, sparsity, sparsity).map(drop)
    }

    fn initial(&mut self, weights: &[Weight], _seed: u64) -> Result<Vec<LiveSet>> {
        self.largest(weights, self.sparsity)
    }

    fn training(&self, weights: &[Weight], live: &[LiveSet]) -> Result<Option<Training>> {
        let mut sets = self.largest(weights, self.backward_sparsity)?;
        for (set, live) in sets.iter_mut().zip(live) {
            for (moved, live) in set.iter_mut().zip(live) {
                *moved |= live;
            }
        }
        Ok(Some(Training {
            sets,
            decay: self.decay,
            latent_decay: self.decay / (1.0 - self.sparsity),
        }))
    }

    fn is_due(&self, step: u64) -> bool {
        step > 0 && step.is_multiple_of(self.every.max(1))
    }

    fn update(&mut self, _step: u64, weights: &[Weight], _seed: u64) -> Result<Vec<LiveSet>> {
        self.largest(weights, self.sparsity)
    }
}
