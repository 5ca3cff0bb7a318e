//! S²-SAM: along the gradient of the step before.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::setters::{not_negative, setters};
use super::{Ascent, Descent, Gradients, Memory, Perturbation, Scope, Site};
use crate::error::Result;
use crate::objective::{BatchLoss, Objective};

const PREVIOUS: &str = "previous";

/// S²-SAM: `ε = ρ g/‖g‖` with `g` the gradient that the step before measured.
///
/// SAM's direction, one step late: uphill. One forward and one backward, as without it. The first
/// step is not perturbed. When masks change, `g` keeps what is live.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.05 | finite, ≥ 0 |
/// | `scope` | all trainable parameters | |
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::optim::SgdConfig;
/// use zosam::perturb::S2SamConfig;
/// let optim = S2SamConfig::new().with_rho(0.1).init(SgdConfig::new().build()).unwrap();
/// # }
/// ```
///
/// Ji et al., "A Single-Step, Sharpness-Aware Minimization is All You Need to Achieve Efficient and
/// Accurate Sparse Training", NeurIPS 2024. No code of the authors was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct S2SamConfig {
    /// Radius `ρ`.
    pub rho: f64,
    /// Which parameters are perturbed.
    pub scope: Scope,
}

impl Default for S2SamConfig {
    fn default() -> Self {
        Self {
            rho: 0.05,
            scope: Scope::AllTrainable,
        }
    }
}

setters!(S2SamConfig {
    /// Sets the radius `ρ`.
    with_rho(rho: f64),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
});

impl Perturbation for S2SamConfig {
    fn validate(&self) -> Result<()> {
        not_negative("rho", self.rho)
    }

    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        _objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        match memory.vector(PREVIOUS, site.masks) {
            Some(previous) => {
                Ascent::along(site.restrict(previous, self.scope), site.radius(self.rho))
            }
            None => Ascent::none(),
        }
    }

    fn descend(&self, found: Gradients, site: Site<'_>, memory: &mut Memory) -> Descent {
        memory.put(PREVIOUS, found.perturbed.clone(), site.masks);
        found.perturbed.into()
    }

    fn vectors(&self) -> usize {
        1
    }
}
