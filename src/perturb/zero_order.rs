//! ZO-SAM: the perturbation from forward passes alone.

use std::cmp::Ordering;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::{Ascent, Perturbation, PlainReason, Scope, Site, normalised};
use crate::error::{Result, check};
use crate::objective::{Loss, Objective, Offset};
use crate::tree::{DirectionDistribution, ParamVector};

/// How far from `θ` the loss is probed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delta {
    /// The paper's `δ`: probes at `θ ± δ u`. The distance grows with `‖u‖ ≈ √d`; in f32 it should
    /// end up between 1e-3 and 0.15, below which rounding and above which curvature hides the sign.
    Absolute(f64),
    /// A share of the radius: `δ‖u‖ = share · ρ`. At 1, the default, probes are at the distance at
    /// which the gradient will be measured, whatever the size of the model.
    Relative(f64),
}

/// Which differences estimate the directional derivative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// `(L(θ + δu) − L(θ − δu)) / 2δ`: 2m forwards.
    #[default]
    Two,
    /// `(L(θ + δu) − L(θ)) / δ`: m + 1 forwards, with an error of first order in `δ`.
    One,
}

/// Which probes keep their graph, where one of them is the point to be differentiated (m = 1,
/// two-sided, `δ‖u‖ = ρ`).
///
/// All three give the same `ε` and the same update; they trade activations for forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroOrderMemory {
    /// Both: 2 forwards a step, activations of two passes alive at once.
    #[default]
    Both,
    /// The second: 2.5 forwards a step on average, activations of one pass.
    Last,
    /// None, the plain path: 3 forwards a step, activations of one pass.
    None,
}

/// Configuration of ZO-SAM.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.05 | finite, ≥ 0 |
/// | `directions` (the paper's m) | 1 | ≥ 1 |
/// | `distribution` | Gaussian | |
/// | `sides` | two | |
/// | `delta` | relative, 1 | finite, > 0 |
/// | `scope` | all trainable parameters | |
/// | `memory` | both graphs | |
///
/// The paper states neither `δ` nor `ρ`; the defaults are SAM's radius and probes at that radius.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::optim::{SgdConfig, momentum::MomentumConfig};
/// use zosam::ZoSamConfig;
/// let momentum = MomentumConfig::new().with_dampening(0.0);
/// let sgd = SgdConfig::new().with_momentum(Some(momentum)).build();
/// let optim = ZoSamConfig::new().with_rho(0.05).init(sgd).unwrap();
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZoSamConfig {
    /// Radius `ρ` of the perturbation.
    pub rho: f64,
    /// Number m of random directions.
    pub directions: usize,
    /// DirectionDistribution of the directions.
    pub distribution: DirectionDistribution,
    /// Two-sided or one-sided differences.
    pub sides: Sides,
    /// Distance of the probes.
    pub delta: Delta,
    /// Which parameters are perturbed.
    pub scope: Scope,
    /// Which probes keep their graph.
    pub memory: ZeroOrderMemory,
}

impl Default for ZoSamConfig {
    fn default() -> Self {
        Self {
            rho: 0.05,
            directions: 1,
            distribution: DirectionDistribution::Gaussian,
            sides: Sides::Two,
            delta: Delta::Relative(1.0),
            scope: Scope::AllTrainable,
            memory: ZeroOrderMemory::Both,
        }
    }
}

impl ZoSamConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the radius `ρ`.
    pub fn with_rho(mut self, rho: f64) -> Self {
        self.rho = rho;
        self
    }

    /// Sets the number m of random directions.
    pub fn with_directions(mut self, directions: usize) -> Self {
        self.directions = directions;
        self
    }

    /// Sets the distribution of the directions.
    pub fn with_distribution(mut self, distribution: DirectionDistribution) -> Self {
        self.distribution = distribution;
        self
    }

    /// Sets which differences are taken.
    pub fn with_sides(mut self, sides: Sides) -> Self {
        self.sides = sides;
        self
    }

    /// Sets the distance of the probes.
    pub fn with_delta(mut self, delta: Delta) -> Self {
        self.delta = delta;
        self
    }

    /// Sets which parameters are perturbed.
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets which probes keep their graph.
    pub fn with_memory(mut self, memory: ZeroOrderMemory) -> Self {
        self.memory = memory;
        self
    }

    /// The perturbation on its own.
    ///
    /// # Errors
    ///
    /// A field out of its range.
    pub fn build(&self) -> Result<ZeroOrder> {
        check("rho", self.rho, self.rho >= 0.0, "finite and at least 0")?;
        check(
            "directions",
            self.directions as f64,
            self.directions >= 1,
            "at least 1",
        )?;
        let (Delta::Absolute(delta) | Delta::Relative(delta)) = self.delta;
        check("delta", delta, delta > 0.0, "finite and greater than 0")?;
        Ok(ZeroOrder {
            config: self.clone(),
        })
    }

    /// Whether the winning probe is the perturbed point itself.
    fn probes_are_candidates(&self) -> bool {
        self.directions == 1
            && self.sides == Sides::Two
            && self.delta == Delta::Relative(1.0)
            && self.memory != ZeroOrderMemory::None
    }
}

/// The random gradient estimate of the ascent: `ĝ = (1/m) Σᵢ Δᵢ uᵢ`, `ε = ρ ĝ/‖ĝ‖`.
///
/// `Δᵢ` is the difference quotient of the loss along the random direction `uᵢ`, measured on the same
/// batch, with the same dropout draws and with batch statistics. Directions are projected onto the
/// live weights first: `ρ` is a radius in the live subspace and dead weights stay exactly zero.
/// Memory for the directions does not grow with m: each is drawn from its key, used and dropped.
///
/// For m = 1 only the sign of `Δ` survives the normalisation, so `ε = ±ρ u/‖u‖`; where the probes are
/// at distance `ρ` the one with the larger loss is the perturbed point, and its forward pass is the one
/// that is differentiated.
///
/// Ji et al., "ZO-SAM: Zero-Order Sharpness-Aware Minimization for Efficient Sparse Training", 2026
/// (arXiv 2603.13115). Masking the directions, probing at the radius and the shared forward pass are
/// this crate's choices; the paper is silent on the first two.
#[derive(Debug, Clone)]
pub struct ZeroOrder {
    config: ZoSamConfig,
}

impl Perturbation for ZeroOrder {
    fn ascend<M, L, F>(
        &mut self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
    ) -> Ascent<M, L::Extra>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        match self.config.probes_are_candidates() {
            true => self.better_of_two(objective, site),
            false => self.estimate(objective, site),
        }
    }
}

impl ZeroOrder {
    fn direction<M: Module>(&self, model: &M, site: Site<'_>, index: usize) -> ParamVector {
        let config = &self.config;
        let direction = site.direction(model, index as u64, config.distribution, config.scope);
        match config.distribution {
            DirectionDistribution::Sphere => to_sphere(direction, site),
            _ => direction,
        }
    }

    /// The cheap exact step: evaluate `θ ± ρ u/‖u‖` and differentiate the one with the larger loss.
    fn better_of_two<M, L, F>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
    ) -> Ascent<M, L::Extra>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        let direction = self.direction(objective.model(), site, 0);
        let plus = match normalised(direction, self.config.rho) {
            Ok(offset) => offset,
            Err(reason) => return Ascent::given_up(reason),
        };
        let minus = plus.negated();
        let record_first = self.config.memory == ZeroOrderMemory::Both;
        let first = match record_first {
            true => objective.forward(Some(&plus)),
            false => objective.probe(Some(&plus)),
        };
        let (up, first) = (first.loss(), record_first.then_some(first));
        let second = objective.forward(Some(&minus));
        let down = second.loss();
        let (ascent, forward, loser) = match up.partial_cmp(&down) {
            _ if !(up.is_finite() && down.is_finite()) => (
                Ascent::given_up(PlainReason::NonFinite),
                first,
                Some(second),
            ),
            Some(Ordering::Greater) => (Ascent::to(plus), first, Some(second)),
            Some(Ordering::Less) => (Ascent::to(minus), Some(second), first),
            _ => (
                Ascent::given_up(PlainReason::ZeroEstimate),
                first,
                Some(second),
            ),
        };
        if let Some(forward) = loser {
            objective.discard(forward);
        }
        match ascent.offset {
            Some(_) => Ascent { forward, ..ascent },
            None => ascent,
        }
    }

    /// The plain path: m difference quotients, then a step to `θ + ρ ĝ/‖ĝ‖`.
    fn estimate<M, L, F>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
    ) -> Ascent<M, L::Extra>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        let base = match self.config.sides {
            Sides::One => Some(objective.probe(None)),
            Sides::Two => None,
        };
        let base_loss = base.as_ref().map(|forward| forward.loss());
        let mut estimate: Option<ParamVector> = None;
        for index in 0..self.config.directions {
            let direction = self.direction(objective.model(), site, index);
            let Some(quotient) = self.quotient(objective, &direction, base_loss) else {
                continue;
            };
            // With one direction only the sign survives the normalisation. Taking it right away
            // makes ε the same, to the last bit, as where the probes are the candidates.
            let weight = match self.config.directions {
                1 if quotient != 0.0 => quotient.signum(),
                m => quotient / m as f64,
            };
            estimate = Some(match estimate {
                Some(sum) => sum.add_scaled(&direction, weight),
                None => direction.scaled(weight),
            });
        }
        let ascent = match estimate.map(|sum| normalised(sum, self.config.rho)) {
            Some(Ok(offset)) => Ascent::to(offset),
            Some(Err(reason)) => Ascent::given_up(reason),
            None => Ascent::given_up(PlainReason::NonFinite),
        };
        Ascent {
            buffers: base.map(|forward| forward.into_twin()),
            ..ascent
        }
    }

    /// The difference quotient along a direction; `None` if it is not finite, which drops the
    /// direction.
    fn quotient<M, L, F>(
        &self,
        objective: &mut Objective<'_, M, F>,
        direction: &ParamVector,
        base_loss: Option<f64>,
    ) -> Option<f64>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        let delta = match self.config.delta {
            Delta::Absolute(delta) => delta,
            Delta::Relative(share) => {
                normalised(direction.clone(), share * self.config.rho)
                    .ok()?
                    .scale
            }
        };
        let plus = Offset {
            direction: direction.clone(),
            scale: delta,
        };
        let up = objective.value(Some(&plus));
        let quotient = match base_loss {
            Some(base) => (up - base) / delta,
            None => (up - objective.value(Some(&plus.negated()))) / (2.0 * delta),
        };
        quotient.is_finite().then_some(quotient)
    }
}

/// Scales a Gaussian direction to norm √d, with d the number of perturbed components.
fn to_sphere(direction: ParamVector, site: Site<'_>) -> ParamVector {
    let norm = direction.norm();
    let components: usize = direction
        .iter()
        .map(|(id, tensor)| site.masks.live(id).unwrap_or(tensor.dims()[0]))
        .sum();
    match norm > 0.0 {
        true => direction.scaled((components as f64).sqrt() / norm),
        false => direction,
    }
}
