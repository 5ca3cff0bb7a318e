//! GSAM: SAM that also closes the gap between the loss at `θ + ε` and at `θ`.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::ascent::along_gradient;
use super::setters::{not_negative, setters};
use super::{Ascent, Descent, Gradients, Memory, Perturbation, Scope, Site};
use crate::error::{Result, check};
use crate::objective::{BatchLoss, Objective};

/// A radius that follows the learning rate:
/// `ρ_t = ρ_min + (ρ_max − ρ_min)(η_t − η_min)/(η_max − η_min)`.
///
/// Clamped to `ρ_min … ρ_max`: in the published code it falls below `ρ_min` during warm-up. It is
/// `ρ_max` if `η_max = η_min`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RadiusByRate {
    /// `ρ_min`, finite and ≥ 0; `ρ_max` is the configuration's `rho`.
    pub smallest: f64,
    /// Learning rates `η_min` and `η_max` of the run.
    pub rates: (f64, f64),
}

impl RadiusByRate {
    fn radius(&self, largest: f64, lr: f64) -> f64 {
        let (low, high) = self.rates;
        match high > low {
            true => {
                let share = ((lr - low) / (high - low)).clamp(0.0, 1.0);
                self.smallest + (largest - self.smallest) * share
            }
            false => largest,
        }
    }
}

/// GSAM: SAM's ascent, and the descent `v = g_p − α g_⊥`.
///
/// `g_p` is the gradient at `θ + ε`, and `g_⊥` the part of the gradient `g` at `θ` that is
/// orthogonal to it. Going up along `g_⊥` leaves the perturbed loss unchanged to first order and
/// raises the loss at `θ`, so their gap, the sharpness, falls. `α = 0` is SAM. Two forwards and two
/// backwards; one more vector while a step lasts. Inner products are over live weights.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.05 | finite, ≥ 0 |
/// | `alpha` | 0.4 | finite, ≥ 0 |
/// | `by_rate` | none: a constant radius | |
/// | `scope` | all trainable parameters | |
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::optim::SgdConfig;
/// use zosam::perturb::{GsamConfig, RadiusByRate};
/// let by_rate = RadiusByRate { smallest: 0.02, rates: (0.0, 0.1) };
/// let config = GsamConfig::new().with_rho(0.1).with_by_rate(Some(by_rate));
/// let optim = config.init(SgdConfig::new().build()).unwrap();
/// # }
/// ```
///
/// Zhuang et al., "Surrogate Gap Minimization Improves Sharpness-Aware Training", ICLR 2022 (arXiv
/// 2203.08065).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GsamConfig {
    /// Radius `ρ`, the largest one where it follows the learning rate.
    pub rho: f64,
    /// Weight `α` of the surrogate gap.
    pub alpha: f64,
    /// How the radius follows the learning rate.
    pub by_rate: Option<RadiusByRate>,
    /// Which parameters are perturbed.
    pub scope: Scope,
}

impl Default for GsamConfig {
    fn default() -> Self {
        Self {
            rho: 0.05,
            alpha: 0.4,
            by_rate: None,
            scope: Scope::AllTrainable,
        }
    }
}

setters!(GsamConfig {
    /// Sets the radius `ρ`, the largest one where it follows the learning rate.
    with_rho(rho: f64),
    /// Sets the weight `α` of the surrogate gap.
    with_alpha(alpha: f64),
    /// Lets the radius follow the learning rate.
    with_by_rate(by_rate: Option<RadiusByRate>),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
});

impl Perturbation for GsamConfig {
    fn validate(&self) -> Result<()> {
        not_negative("rho", self.rho)?;
        not_negative("alpha", self.alpha)?;
        if let Some(RadiusByRate { smallest, .. }) = self.by_rate {
            let fits = (0.0..=self.rho).contains(&smallest);
            check("by_rate.smallest", smallest, fits, "from 0 to rho")?;
        }
        Ok(())
    }

    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        let rho = match (self.by_rate, site.lr) {
            (Some(by_rate), Some(lr)) => by_rate.radius(self.rho, lr),
            _ => self.rho,
        };
        along_gradient(objective, site, self.scope, rho)
    }

    fn descend(&self, found: Gradients, site: Site<'_>, _memory: &mut Memory) -> Descent {
        let Some(here) = found.here else {
            return found.perturbed.into();
        };
        // Dead weights have a say in no inner product, but keep their gradient, which some methods
        // train by.
        let there = site.restrict(found.perturbed.clone(), Scope::AllTrainable);
        match here.dot(&there) / there.dot(&there) {
            share if share.is_finite() => {
                let orthogonal = here.plus_scaled(&found.perturbed, -share);
                let gap = orthogonal.scaled(-self.alpha);
                found.perturbed.plus_scaled(&gap, 1.0).into()
            }
            _ => found.perturbed.into(),
        }
    }
}
