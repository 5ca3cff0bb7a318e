//! WSAM: the loss and its sharpness, weighted.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::setters::setters;
use super::{Ascent, Descent, Gradients, Memory, Perturbation, Scope, Site, ascend_along_gradient};
use crate::error::{Result, check};
use crate::objective::{BatchLoss, Objective};

/// Configuration of WSAM's perturbation.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.05 | finite, ≥ 0 |
/// | `gamma` | 0.9 | 0 to 1, without 1 |
/// | `decoupled` | true | |
/// | `scope` | all trainable parameters | |
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

impl WsamConfig {
    /// The perturbation on its own.
    ///
    /// # Errors
    ///
    /// A field out of its range.
    pub fn build(&self) -> Result<Wsam> {
        check("rho", self.rho, self.rho >= 0.0, "finite and at least 0")?;
        let fits = (0.0..1.0).contains(&self.gamma);
        check("gamma", self.gamma, fits, "at least 0 and less than 1")?;
        Ok(Wsam {
            config: self.clone(),
        })
    }
}

/// WSAM: the loss `L + α (L_p − L)` with `α = γ/(1 − γ)` and `L_p` the loss at SAM's `θ + ε`.
///
/// Coupled, the base optimizer gets `v = g + α (g_p − g)`. Decoupled, which is the paper's
/// algorithm, it gets `g`; `η α (g_p − g)` is subtracted after its step, so that momentum and
/// adaptive scaling do not see it. Two forwards and two backwards.
///
/// Coupled, `γ = 1/2` is SAM. Decoupled it is SAM only under SGD without momentum, which subtracts
/// `η g`. `γ = 0` is the base optimizer alone.
///
/// Yue et al., "Sharpness-Aware Minimization Revisited: Weighted Sharpness as a Regularization
/// Term", KDD 2023 (arXiv 2305.15817).
#[derive(Debug, Clone)]
pub struct Wsam {
    config: WsamConfig,
}

impl Perturbation for Wsam {
    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        ascend_along_gradient(objective, site, self.config.scope, self.config.rho)
    }

    fn descend(&self, found: Gradients, _site: Site<'_>, _memory: &mut Memory) -> Descent {
        let Some(here) = found.here else {
            return found.perturbed.into();
        };
        let alpha = self.config.gamma / (1.0 - self.config.gamma);
        let sharpness = found.perturbed.clone().plus_scaled(&here, -1.0);
        match self.config.decoupled {
            true => Descent {
                gradient: here,
                drift: Some(sharpness.scaled(alpha)),
            },
            // Equal gradients leave nothing to round.
            false => found.perturbed.plus_scaled(&sharpness, alpha - 1.0).into(),
        }
    }

    fn drifts(&self) -> bool {
        self.config.decoupled
    }
}
