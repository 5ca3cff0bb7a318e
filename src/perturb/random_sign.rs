//! The control experiment: a random perturbation of the same length.

use burn::module::Module;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::setters::{not_negative, setters};
use super::{Ascent, Memory, Perturbation, Scope, Site};
use crate::error::Result;
use crate::objective::{BatchLoss, Objective};
use crate::tree::DirectionDistribution;

/// The control: `ε = ±ρ u/‖u‖` with the directions of [`ZoSamConfig`](super::ZoSamConfig) and a
/// coin's sign.
///
/// One forward and one backward. What ZO-SAM gains over this is what its probes are worth.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.05 | finite, ≥ 0 |
/// | `scope` | all trainable parameters | |
/// | `coin` | true | |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomSignConfig {
    /// Radius `ρ` of the perturbation.
    pub rho: f64,
    /// Which parameters are perturbed.
    pub scope: Scope,
    /// Whether a coin is tossed for the sign. Directions are symmetric, so a perturbation without
    /// is as random.
    #[serde(default = "tossed")]
    pub coin: bool,
}

fn tossed() -> bool {
    true
}

impl Default for RandomSignConfig {
    fn default() -> Self {
        Self {
            rho: 0.05,
            scope: Scope::AllTrainable,
            coin: true,
        }
    }
}

setters!(RandomSignConfig {
    /// Sets the radius `ρ`.
    with_rho(rho: f64),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
    /// Sets whether a coin is tossed for the sign.
    with_coin(coin: bool),
});

impl Perturbation for RandomSignConfig {
    fn validate(&self) -> Result<()> {
        not_negative("rho", self.rho)
    }

    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        _objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        let scope = self.scope;
        let direction = site.direction(0, DirectionDistribution::Gaussian, scope);
        let mut coin = ChaCha8Rng::seed_from_u64(site.seed);
        coin.set_stream(site.step);
        let keep = !self.coin || coin.random();
        let sign = if keep { 1.0 } else { -1.0 };
        let mut ascent = Ascent::along(direction, site.radius(self.rho));
        if let Some(offset) = &mut ascent.offset {
            offset.scale *= sign;
        }
        ascent
    }
}
