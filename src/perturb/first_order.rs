//! SAM: the perturbation along the gradient itself.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::{Ascent, Memory, Perturbation, Scope, Site, ascend_along_gradient};
use crate::error::{Result, check};
use crate::objective::{BatchLoss, Objective};

/// Configuration of SAM's perturbation.
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

impl SamConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the radius `ρ`.
    pub fn with_rho(mut self, rho: f64) -> Self {
        self.rho = rho;
        self
    }

    /// Sets which parameters are perturbed.
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The perturbation on its own.
    ///
    /// # Errors
    ///
    /// A field out of its range.
    pub fn build(&self) -> Result<FirstOrder> {
        check("rho", self.rho, self.rho >= 0.0, "finite and at least 0")?;
        Ok(FirstOrder {
            config: self.clone(),
        })
    }
}

/// Sharpness-aware minimization: `ε = ρ g/‖g‖` with `g` the gradient at `θ` on the live weights.
///
/// The norm is global, over all perturbed parameters. Two forwards and two backwards a step.
/// Running statistics are those of the first pass, as in the authors' code.
///
/// Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", ICLR 2021
/// (arXiv 2010.01412). Unlike the authors' JAX code the perturbation is masked before it is
/// normalised, weight decay stays with the base optimizer, and a zero gradient gives a plain step
/// instead of NaN.
#[derive(Debug, Clone)]
pub struct FirstOrder {
    config: SamConfig,
}

impl Perturbation for FirstOrder {
    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        ascend_along_gradient(objective, site, self.config.scope, self.config.rho)
    }
}
