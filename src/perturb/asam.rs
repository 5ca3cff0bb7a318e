//! ASAM: a radius relative to the size of each weight.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::radius::normalised;
use super::setters::{not_negative, setters};
use super::{Ascent, Memory, Perturbation, Scope, Site};
use crate::error::Result;
use crate::objective::{BatchLoss, Objective, Offset};
use crate::tree::ParamVector;

/// Adaptive SAM: `ε = ρ T² g/‖T g‖` with `T = |θ| + η` on weights and 1 on biases.
///
/// Its radius is in units of the weights: `‖T⁻¹ ε‖ = ρ`, whatever scale a layer's weights have.
/// "Weights" are parameters whose name is `weight`, as in the authors' code, or a norm's `gamma`,
/// which is called `weight` there. Two forwards and two backwards.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.5 | finite, ≥ 0 |
/// | `eta` | 0.01 | finite, ≥ 0 |
/// | `scope` | all trainable parameters | |
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::optim::SgdConfig;
/// use zosam::perturb::AsamConfig;
/// let optim = AsamConfig::new().with_rho(1.0).init(SgdConfig::new().build()).unwrap();
/// # }
/// ```
///
/// Kwon et al., "ASAM: Adaptive Sharpness-Aware Minimization", ICML 2021 (arXiv 2102.11600). Their
/// constructor's `η` is 0.01, their CIFAR script's 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AsamConfig {
    /// Radius `ρ` in units of the weights.
    pub rho: f64,
    /// Added to the size of each weight.
    pub eta: f64,
    /// Which parameters are perturbed.
    pub scope: Scope,
}

impl Default for AsamConfig {
    fn default() -> Self {
        Self {
            rho: 0.5,
            eta: 0.01,
            scope: Scope::AllTrainable,
        }
    }
}

setters!(AsamConfig {
    /// Sets the radius `ρ`.
    with_rho(rho: f64),
    /// Sets what is added to the size of each weight.
    with_eta(eta: f64),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
});

impl AsamConfig {
    /// `T v`.
    fn scaled(&self, vector: ParamVector, site: Site<'_>) -> ParamVector {
        let is_weight = |id| {
            let leaf = site.leaves.iter().find(|leaf| leaf.id == id);
            leaf.is_some_and(|leaf| leaf.path.ends_with("weight") || leaf.path.ends_with("gamma"))
        };
        vector.map(|id, component| match site.weights.get(id) {
            Some(value) if is_weight(id) => component * (value.abs().add_scalar(self.eta)),
            _ => component,
        })
    }
}

impl Perturbation for AsamConfig {
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
            let once = self.scaled(site.restrict(gradient, self.scope), site);
            match normalised(once.clone(), site.radius(self.rho)) {
                Ok(Offset { scale, .. }) => Ascent::to(Offset {
                    direction: self.scaled(once, site),
                    scale,
                }),
                Err(reason) => Ascent::given_up(reason),
            }
        })
    }
}
