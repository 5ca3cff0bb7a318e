//! Fisher-SAM: a radius in the geometry of the Fisher information.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::radius::unusable;
use super::setters::{not_negative, setters};
use super::{Ascent, Memory, Perturbation, Scope, Site};
use crate::error::Result;
use crate::objective::{BatchLoss, Objective, Offset};

/// Fisher-SAM: `ε = ρ F⁻¹g/√(gᵀF⁻¹g)` with the diagonal `F = 1 + η g²`.
///
/// `√(εᵀ F ε) = ρ`. Two forwards and two backwards.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.1 | finite, ≥ 0 |
/// | `eta` | 1 | finite, ≥ 0 |
/// | `scope` | all trainable parameters | |
///
/// Kim et al., "Fisher SAM: Information Geometry and Sharpness Aware Minimisation", ICML 2022
/// (arXiv 2206.04920). No code of the authors was found; the batch gradient's square for `F` is a
/// third party's.
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

impl Perturbation for FisherSamConfig {
    fn validate(&self) -> Result<()> {
        not_negative("rho", self.rho)?;
        not_negative("eta", self.eta)
    }

    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        Ascent::from_gradient(objective, |gradient| {
            let gradient = site.restrict(gradient, self.scope);
            let natural = gradient.clone().map_elements(|component| {
                let squared = component.clone().powi_scalar(2);
                component / squared.mul_scalar(self.eta).add_scalar(1.0)
            });
            let norm = gradient.dot(&natural).sqrt();
            match unusable(norm) {
                Some(reason) => Ascent::given_up(reason),
                None => Ascent::to(Offset {
                    direction: natural,
                    scale: site.radius(self.rho) / norm,
                }),
            }
        })
    }
}
