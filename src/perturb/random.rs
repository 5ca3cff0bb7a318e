//! The control experiment: a random perturbation of the same length.

use burn::module::Module;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::{Ascent, Memory, Perturbation, Scope, Site};
use crate::error::{Result, check};
use crate::objective::{BatchLoss, Objective};
use crate::tree::DirectionDistribution;

/// Configuration of the control: ZO-SAM's direction for m = 1, with a coin toss for its sign.
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

impl RandomSignConfig {
    /// The control at a radius.
    pub fn new(rho: f64) -> Self {
        Self {
            rho,
            scope: Scope::AllTrainable,
            coin: true,
        }
    }

    /// Sets whether a coin is tossed for the sign.
    pub fn with_coin(mut self, coin: bool) -> Self {
        self.coin = coin;
        self
    }

    /// The perturbation on its own.
    ///
    /// # Errors
    ///
    /// A field out of its range.
    pub fn build(&self) -> Result<RandomSign> {
        check("rho", self.rho, self.rho >= 0.0, "finite and at least 0")?;
        Ok(RandomSign {
            config: self.clone(),
        })
    }
}

/// `ε = ±ρ u/‖u‖` with the directions of [`ZeroOrder`](super::ZeroOrder) and a random sign.
///
/// One forward and one backward. What ZO-SAM gains over this is what its probes are worth.
#[derive(Debug, Clone)]
pub struct RandomSign {
    config: RandomSignConfig,
}

impl Perturbation for RandomSign {
    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        _objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        let scope = self.config.scope;
        let direction = site.direction(0, DirectionDistribution::Gaussian, scope);
        let mut coin = ChaCha8Rng::seed_from_u64(site.seed);
        coin.set_stream(site.step);
        let keep = !self.config.coin || coin.random();
        let sign = if keep { 1.0 } else { -1.0 };
        let mut ascent = Ascent::along(direction, site.radius(self.config.rho));
        if let Some(offset) = &mut ascent.offset {
            offset.scale *= sign;
        }
        ascent
    }
}
