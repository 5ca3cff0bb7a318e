//! ZO-SAM: the perturbation from forward passes alone.

mod config;

pub use config::{Delta, Sides, ZeroOrderMemory, ZoSamConfig};

use std::cmp::Ordering;

use burn::module::Module;

use super::{Ascent, Perturbation, PlainReason, Site, normalised};
use crate::objective::{Loss, Objective, Offset};
use crate::tree::{DirectionDistribution, ParamVector};

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
