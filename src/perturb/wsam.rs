//! WSAM: the loss and its sharpness, weighted.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::ascent::along_gradient;
use super::setters::{not_negative, setters};
use super::{Ascent, Descent, Gradients, Memory, Perturbation, Scope, Site};
use crate::error::{Result, check};
use crate::objective::{BatchLoss, Objective};

/// WSAM: the loss `L + α (L_p − L)` with `α = γ/(1 − γ)` and `L_p` the loss at SAM's `θ + ε`.
///
/// Coupled, the base optimizer gets `v = g + α (g_p − g)`. Decoupled, which is the paper's
/// algorithm, it gets `g`; `η α (g_p − g)` is subtracted after its step, so that momentum and
/// adaptive scaling do not see it. Two forwards and two backwards.
///
/// Coupled, `γ = 1/2` is SAM. Decoupled it is SAM only under SGD without momentum, which subtracts
/// `η g`. `γ = 0` is the base optimizer alone.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.05 | finite, ≥ 0 |
/// | `gamma` | 0.9 | 0 to 1, without 1 |
/// | `decoupled` | true | |
/// | `scope` | all trainable parameters | |
///
/// Yue et al., "Sharpness-Aware Minimization Revisited: Weighted Sharpness as a Regularization
/// Term", KDD 2023 (arXiv 2305.15817).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WsamConfig {
    /// Radius `ρ`.
    pub rho: f64,
    /// Weight `γ` of the sharpness.
    pub gamma: f64,
    /// Whether the sharpness bypasses the base optimizer.
    pub decoupled: bool,
    /// Which parameters are perturbed.
    pub scope: Scope,
}

impl Default for WsamConfig {
    fn default() -> Self {
        Self {
            rho: 0.05,
            gamma: 0.9,
            decoupled: true,
            scope: Scope::AllTrainable,
        }
    }
}

setters!(WsamConfig {
    /// Sets the radius `ρ`.
    with_rho(rho: f64),
    /// Sets the weight `γ` of the sharpness.
    with_gamma(gamma: f64),
    /// Sets whether the sharpness bypasses the base optimizer.
    with_decoupled(decoupled: bool),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
});

impl Perturbation for WsamConfig {
    fn validate(&self) -> Result<()> {
        not_negative("rho", self.rho)?;
        let fits = (0.0..1.0).contains(&self.gamma);
        check("gamma", self.gamma, fits, "at least 0 and less than 1")
    }

    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        along_gradient(objective, site, self.scope, self.rho)
    }

    fn descend(&self, found: Gradients, _site: Site<'_>, _memory: &mut Memory) -> Descent {
        let Some(here) = found.here else {
            return found.perturbed.into();
        };
        let alpha = self.gamma / (1.0 - self.gamma);
        let sharpness = found.perturbed.clone().plus_scaled(&here, -1.0);
        match self.decoupled {
            true => Descent {
                gradient: here,
                drift: Some(sharpness.scaled(alpha)),
            },
            // Equal gradients leave nothing to round.
            false => found.perturbed.plus_scaled(&sharpness, alpha - 1.0).into(),
        }
    }

    fn drifts(&self) -> bool {
        self.decoupled
    }
}
