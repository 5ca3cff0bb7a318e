//! Fisher-SAM: a radius in the geometry of the Fisher information.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::setters::setters;
use super::{Ascent, Memory, Perturbation, Scope, Site, unusable};
use crate::error::{Result, check};
use crate::objective::{BatchLoss, Objective, Offset};

/// Configuration of Fisher-SAM's perturbation.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.1 | finite, ≥ 0 |
/// | `eta` | 1 | finite, ≥ 0 |
/// | `scope` | all trainable parameters | |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FisherSamConfig {
    /// Radius in the metric of `F` (`γ` in the paper).
    pub rho: f64,
    /// Weight of the squared gradient in `F`; 0 is SAM.
    pub eta: f64,
    /// Which parameters are perturbed.
    pub scope: Scope,
}

impl Default for FisherSamConfig {
    fn default() -> Self {
        Self {
            rho: 0.1,
            eta: 1.0,
            scope: Scope::AllTrainable,
        }
    }
}

setters!(FisherSamConfig {
    /// Sets the radius.
    with_rho(rho: f64),
    /// Sets the weight of the squared gradient.
    with_eta(eta: f64),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
});

impl FisherSamConfig {
    /// The perturbation on its own.
    ///
    /// # Errors
    ///
    /// A field out of its range.
    pub fn build(&self) -> Result<FisherSam> {
        check("rho", self.rho, self.rho >= 0.0, "finite and at least 0")?;
        check("eta", self.eta, self.eta >= 0.0, "finite and at least 0")?;
        Ok(FisherSam {
            config: self.clone(),
        })
    }
}

/// Fisher-SAM: `ε = ρ F⁻¹g/√(gᵀF⁻¹g)` with the diagonal `F = 1 + η g²`.
///
/// `√(εᵀ F ε) = ρ`. Two forwards and two backwards.
///
/// Kim et al., "Fisher SAM: Information Geometry and Sharpness Aware Minimisation", ICML 2022
/// (arXiv 2206.04920). No code of the authors was found; the batch gradient's square for `F` is a
/// third party's.
#[derive(Debug, Clone)]
pub struct FisherSam {
    config: FisherSamConfig,
}

impl Perturbation for FisherSam {
    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        let here = objective.gradient(None);
        let gradient = site.restrict(here.vector.clone(), self.config.scope);
        let eta = self.config.eta;
        let natural = gradient.clone().map_elements(|component| {
            let fisher = component
                .clone()
                .powi_scalar(2)
                .mul_scalar(eta)
                .add_scalar(1.0);
            component / fisher
        });
        let norm = gradient.dot(&natural).sqrt();
        let ascent = match unusable(norm) {
            Some(reason) => Ascent::given_up(reason),
            None => Ascent::to(Offset {
                direction: natural,
                scale: site.radius(self.config.rho) / norm,
            }),
        };
        Ascent {
            buffers: Some(here.twin),
            here: Some(here.vector),
            ..ascent
        }
    }
}
