//! Momentum-SAM: ahead, along the momentum of earlier steps.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::setters::{not_negative, setters};
use super::{Ascent, Descent, Gradients, Memory, Perturbation, Scope, Site};
use crate::error::{Result, check};
use crate::objective::{BatchLoss, Objective};
use crate::tree::ParamVector;

const MOMENTUM: &str = "momentum";

/// Momentum-SAM: `ε = −ρ v/‖v‖`, `v ← μ v + g + λ (θ + ε)`, with `g` the gradient at `θ + ε`.
///
/// The sign is minus: the gradient is measured ahead, where momentum is about to take the weights,
/// as in Nesterov's method but at a fixed distance. (Against the momentum, uphill, the paper finds
/// that test accuracy falls.) One forward and one backward, as without it. The first step is not
/// perturbed. When masks change, `v` keeps what is live.
///
/// With `λ = 0` weight decay is the base optimizer's, and is in neither `v` nor `g`. That is the
/// authors' variant for AdamW; their SGD has it in both, at `θ + ε`.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.3 | finite, ≥ 0; the paper's runs take up to 3 |
/// | `momentum` | 0.9 | greater than 0, less than 1 |
/// | `weight_decay` | 0 | finite, ≥ 0 |
/// | `scope` | all trainable parameters | |
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::optim::{SgdConfig, momentum::MomentumConfig};
/// use zosam::perturb::MomentumSamConfig;
/// // SGD's momentum is the perturbation's, and its weight decay moves there.
/// let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
/// let sgd = SgdConfig::new().with_momentum(Some(momentum)).build();
/// let optim = MomentumSamConfig::new().with_weight_decay(5e-4).init(sgd).unwrap();
/// # }
/// ```
///
/// Becker, Altrock and Risse, "Momentum-SAM: Sharpness Aware Minimization without Computational
/// Overhead", 2024 (arXiv 2401.12033).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MomentumSamConfig {
    /// Radius `ρ`.
    pub rho: f64,
    /// Decay `μ` of earlier gradients: the base optimizer's momentum.
    pub momentum: f64,
    /// Weight decay `λ`, in the momentum and in the gradient that the base optimizer gets, which
    /// then has to have none of its own.
    pub weight_decay: f64,
    /// Which parameters are perturbed.
    pub scope: Scope,
}

impl Default for MomentumSamConfig {
    fn default() -> Self {
        Self {
            rho: 0.3,
            momentum: 0.9,
            weight_decay: 0.0,
            scope: Scope::AllTrainable,
        }
    }
}

setters!(MomentumSamConfig {
    /// Sets the radius `ρ`.
    with_rho(rho: f64),
    /// Sets the decay `μ` of earlier gradients.
    with_momentum(momentum: f64),
    /// Sets the weight decay `λ`.
    with_weight_decay(weight_decay: f64),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
});

impl MomentumSamConfig {
    /// `g + λ (θ + ε)`.
    fn decayed(&self, found: Gradients, site: Site<'_>) -> ParamVector {
        let decay = self.weight_decay;
        if decay == 0.0 {
            return found.perturbed;
        }
        let live = site.restrict(site.weights.clone(), Scope::AllTrainable);
        let decayed = found.perturbed.plus_scaled(&live, decay);
        match found.offset {
            Some(offset) => decayed.plus_scaled(&offset.direction, decay * offset.scale),
            None => decayed,
        }
    }
}

impl Perturbation for MomentumSamConfig {
    fn validate(&self) -> Result<()> {
        not_negative("rho", self.rho)?;
        not_negative("weight_decay", self.weight_decay)?;
        let fits = self.momentum > 0.0 && self.momentum < 1.0;
        let valid = "greater than 0 and less than 1 (without momentum S²-SAM is `S2SamConfig`, with \
                     the other sign)";
        check("momentum", self.momentum, fits, valid)
    }

    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        _objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        match memory.vector(MOMENTUM, site.masks) {
            Some(momentum) => {
                let ahead = site.restrict(momentum, self.scope).scaled(-1.0);
                Ascent::along(ahead, site.radius(self.rho))
            }
            None => Ascent::none(),
        }
    }

    fn descend(&self, found: Gradients, site: Site<'_>, memory: &mut Memory) -> Descent {
        let gradient = self.decayed(found, site);
        let new = site.restrict(gradient.clone(), Scope::AllTrainable);
        let momentum = match memory.vector(MOMENTUM, site.masks) {
            Some(old) => new.plus_scaled(&old, self.momentum),
            None => new,
        };
        memory.put(MOMENTUM, momentum, site.masks);
        gradient.into()
    }

    fn vectors(&self) -> usize {
        1
    }
}
