//! Friendly SAM: the ascent along the noise of the batch alone.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::setters::{not_negative, setters};
use super::{Ascent, Descent, Gradients, Memory, Perturbation, Scope, Site};
use crate::error::{Result, check};
use crate::objective::{BatchLoss, Objective};

const AVERAGE: &str = "average";

/// Friendly SAM: `ε = ρ d/‖d‖`, `d = g − σ m`, `m ← λ m + (1 − λ) g`.
///
/// The averaged gradient `m` stands for the full gradient, and `d` for the noise of the batch. As
/// in the authors' code, `m` is the average up to the previous step, starts as the first gradient,
/// and the first step is SAM's. Two forwards and two backwards.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.1 | finite, ≥ 0 |
/// | `sigma` | 1 | finite, ≥ 0; 0 is SAM |
/// | `lambda` | 0.9 | 0 to 1, without 1 |
/// | `scope` | all trainable parameters | |
///
/// Li et al., "Friendly Sharpness-Aware Minimization", CVPR 2024 (arXiv 2403.12350).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FriendlySamConfig {
    /// Radius `ρ`.
    pub rho: f64,
    /// Share `σ` of the averaged gradient that is taken off.
    pub sigma: f64,
    /// Decay `λ` of the averaged gradient.
    pub lambda: f64,
    /// Which parameters are perturbed.
    pub scope: Scope,
}

impl Default for FriendlySamConfig {
    fn default() -> Self {
        Self {
            rho: 0.1,
            sigma: 1.0,
            lambda: 0.9,
            scope: Scope::AllTrainable,
        }
    }
}

setters!(FriendlySamConfig {
    /// Sets the radius `ρ`.
    with_rho(rho: f64),
    /// Sets the share `σ` of the average that is taken off.
    with_sigma(sigma: f64),
    /// Sets the decay `λ` of the average.
    with_lambda(lambda: f64),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
});

impl Perturbation for FriendlySamConfig {
    fn validate(&self) -> Result<()> {
        not_negative("rho", self.rho)?;
        not_negative("sigma", self.sigma)?;
        let fits = (0.0..1.0).contains(&self.lambda);
        check("lambda", self.lambda, fits, "at least 0 and less than 1")
    }

    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        Ascent::from_gradient(objective, |gradient| {
            let direction = match memory.vector(AVERAGE, site.masks) {
                Some(average) => gradient.plus_scaled(&average, -self.sigma),
                None => gradient,
            };
            Ascent::along(site.restrict(direction, self.scope), site.radius(self.rho))
        })
    }

    fn descend(&self, found: Gradients, site: Site<'_>, memory: &mut Memory) -> Descent {
        if let Some(here) = found.here {
            let here = site.restrict(here, Scope::AllTrainable);
            let lambda = self.lambda;
            let average = match memory.vector(AVERAGE, site.masks) {
                Some(old) => old.scaled(lambda).plus_scaled(&here, 1.0 - lambda),
                None => here,
            };
            memory.put(AVERAGE, average, site.masks);
        }
        found.perturbed.into()
    }

    fn vectors(&self) -> usize {
        1
    }
}
