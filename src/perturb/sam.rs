//! SAM: the perturbation along the gradient itself.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::ascent::along_gradient;
use super::setters::{not_negative, setters};
use super::{Ascent, Memory, Perturbation, Scope, Site};
use crate::error::Result;
use crate::objective::{BatchLoss, Objective};

/// Sharpness-aware minimization: `ε = ρ g/‖g‖` with `g` the gradient at `θ` on the live weights.
///
/// The norm is global, over all perturbed parameters. Two forwards and two backwards a step.
/// Running statistics are those of the first pass, as in the authors' code.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.05 | finite, ≥ 0 |
/// | `scope` | all trainable parameters | |
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::optim::SgdConfig;
/// use zosam::SamConfig;
/// let optim = SamConfig::new().with_rho(0.1).init(SgdConfig::new().build()).unwrap();
/// # }
/// ```
///
/// Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", ICLR 2021
/// (arXiv 2010.01412). Unlike the authors' JAX code the perturbation is masked before it is
/// normalised, weight decay stays with the base optimizer, and a zero gradient gives a plain step
/// instead of NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamConfig {
    /// Radius `ρ` of the perturbation, in the norm of weight space.
    pub rho: f64,
    /// Which parameters are perturbed.
    pub scope: Scope,
}

impl Default for SamConfig {
    fn default() -> Self {
        Self {
            rho: 0.05,
            scope: Scope::AllTrainable,
        }
    }
}

setters!(SamConfig {
    /// Sets the radius `ρ`.
    with_rho(rho: f64),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
});

impl Perturbation for SamConfig {
    fn validate(&self) -> Result<()> {
        not_negative("rho", self.rho)
    }

    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        along_gradient(objective, site, self.scope, self.rho)
    }
}
