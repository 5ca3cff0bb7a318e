//! Perturbations that cost nothing: along what earlier steps have left behind.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::setters::setters;
use super::{Ascent, Descent, Gradients, Memory, Perturbation, Scope, Site};
use crate::error::{Result, check};
use crate::objective::{BatchLoss, Objective};

const AVERAGE: &str = "average";

/// Configuration of momentum-SAM and, without momentum, of S²-SAM.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.05 | finite, ≥ 0 |
/// | `momentum` | 0.9 ([`s2sam`](Self::s2sam): 0) | 0 to 1, without 1 |
/// | `scope` | all trainable parameters | |
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::optim::SgdConfig;
/// use zosam::perturb::MomentumSamConfig;
/// let optim = MomentumSamConfig::s2sam().with_rho(0.1).init(SgdConfig::new().build()).unwrap();
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MomentumSamConfig {
    /// Radius `ρ`.
    pub rho: f64,
    /// Decay `μ` of earlier gradients.
    pub momentum: f64,
    /// Which parameters are perturbed.
    pub scope: Scope,
}

impl Default for MomentumSamConfig {
    fn default() -> Self {
        Self {
            rho: 0.05,
            momentum: 0.9,
            scope: Scope::AllTrainable,
        }
    }
}

setters!(MomentumSamConfig {
    /// Sets the radius `ρ`.
    with_rho(rho: f64),
    /// Sets the decay `μ` of earlier gradients.
    with_momentum(momentum: f64),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
});

impl MomentumSamConfig {
    /// S²-SAM: along the previous gradient alone.
    pub fn s2sam() -> Self {
        Self::new().with_momentum(0.0)
    }

    /// The perturbation on its own.
    ///
    /// # Errors
    ///
    /// A field out of its range.
    pub fn build(&self) -> Result<MomentumSam> {
        check("rho", self.rho, self.rho >= 0.0, "finite and at least 0")?;
        let fits = (0.0..1.0).contains(&self.momentum);
        check(
            "momentum",
            self.momentum,
            fits,
            "at least 0 and less than 1",
        )?;
        Ok(MomentumSam {
            config: self.clone(),
        })
    }
}

/// `ε = ρ m/‖m‖`, `m ← μ m + g`, of the gradients that earlier steps have measured: one forward and one backward, as without it.
///
/// With `μ` the base optimizer's momentum it is Momentum-SAM: Becker, Altrock and Risse, "Momentum-SAM: Sharpness Aware Minimization without
/// Computational Overhead", 2024 (arXiv 2401.12033); `m` is kept apart from the optimizer's, so weight decay is not in it. With `μ = 0` it is
/// S²-SAM: Ji et al., "A Single-Step, Sharpness-Aware Minimization is All You Need to Achieve Efficient and Accurate Sparse Training",
/// NeurIPS 2024. The first step is not perturbed. When masks change, `m` keeps what is live.
#[derive(Debug, Clone)]
pub struct MomentumSam {
    config: MomentumSamConfig,
}

impl Perturbation for MomentumSam {
    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        _objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        match memory.vector(AVERAGE, site.masks) {
            Some(average) => Ascent::along(
                site.restrict(average, self.config.scope),
                site.radius(self.config.rho),
            ),
            None => Ascent::none(),
        }
    }

    fn descend(&self, found: Gradients, site: Site<'_>, memory: &mut Memory) -> Descent {
        let new = site.masks.project(found.perturbed.clone());
        let average = match memory.vector(AVERAGE, site.masks) {
            Some(old) if self.config.momentum > 0.0 => new.plus_scaled(&old, self.config.momentum),
            _ => new,
        };
        memory.put(AVERAGE, average, site.masks);
        found.perturbed.into()
    }

    fn vectors(&self) -> usize {
        1
    }
}
