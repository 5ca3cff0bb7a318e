//! ZO-SAM: the perturbation from forward passes alone.

mod config;
mod directions;
mod guide;

pub use config::{Delta, Sides, ZeroOrderMemory, ZoSamConfig};
pub use directions::Directions;
pub use guide::Guide;

use std::cmp::Ordering;

use burn::module::Module;

use super::radius::{Along, normalised};
use super::{Ascent, Descent, Gradients, Memory, Perturbation, PlainReason, Site, period};
use crate::error::Result;
use crate::objective::{BatchLoss, Forward, Objective, Offset};
use crate::tree::{self, ParamVector};

/// Name of a direction that serves several steps.
const KEPT: &str = "direction";

impl Perturbation for ZoSamConfig {
    fn validate(&self) -> Result<()> {
        self.check()
    }

    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        let kept = memory.vector(KEPT, site.masks);
        if let Some(kept) = kept.filter(|_| !period::renews(memory, self.reuse)) {
            return Ascent::along(kept, site.radius(self.rho));
        }
        let mut directions = self.draws(site, memory);
        if self.directions == 0 {
            // A draw in the place of a forecast, before there is one, would be the control.
            let forecast = directions.next().filter(|_| !memory.is_empty());
            let along = |direction| Ascent::along(direction, site.radius(self.rho));
            return forecast.map_or_else(Ascent::none, along);
        }
        match (self.probes_are_candidates(), directions.next()) {
            (true, Some(direction)) => self.better_of_two(objective, site, direction),
            (_, first) => {
                let directions = first.into_iter().chain(directions);
                self.ascend_by_estimate(objective, site, directions)
            }
        }
    }

    fn descend(&self, found: Gradients, site: Site<'_>, memory: &mut Memory) -> Descent {
        if let Directions::Guided(guide) = &self.family {
            let gradient = site.restrict(found.perturbed.clone(), self.scope);
            guide.remember(gradient, site.masks, memory);
        }
        if let Some(offset) = found.offset.filter(|_| self.reuse > 1) {
            memory.put(KEPT, offset.vector(), site.masks);
            period::note(memory);
        }
        found.perturbed.into()
    }

    fn vectors(&self) -> usize {
        let history = match &self.family {
            Directions::Guided(guide) => guide.history,
            _ => 0,
        };
        history + usize::from(self.reuse > 1)
    }

    fn needs_samples(&self) -> bool {
        self.fraction < 1.0
    }
}

impl ZoSamConfig {
    /// The cheap exact step: evaluate `θ ± ρ u/‖u‖` and differentiate the one with the larger loss.
    fn better_of_two<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        direction: ParamVector,
    ) -> Ascent<M, F::Extra> {
        let Along { offset: plus, norm } = match Along::new(direction, site.radius(self.rho)) {
            Ok(along) => along,
            Err(reason) => return Ascent::given_up(reason),
        };
        let minus = plus.negated();
        let record_first = self.memory == ZeroOrderMemory::Both;
        let first = match record_first {
            true => objective.forward(Some(&plus)),
            false => objective.probe(Some(&plus)),
        };
        let (up, first) = (first.loss_tensor(), record_first.then_some(first));
        let second = objective.forward(Some(&minus));
        // Both losses, and what has not been read of the direction, with one wait.
        let numbers = [up, second.loss_tensor()].into_iter().chain(norm);
        let numbers = tree::read(numbers.collect());
        let (up, down) = (numbers[0], numbers[1]);
        let (ascent, forward, loser) = match up.partial_cmp(&down) {
            _ if !numbers.iter().all(|number| number.is_finite()) => (
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
    fn ascend_by_estimate<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        directions: impl Iterator<Item = ParamVector>,
    ) -> Ascent<M, F::Extra> {
        // With one direction only the sign survives the normalisation. Taking it right away
        // makes ε the same, to the last bit, as where the probes are the candidates.
        let weight = |quotient: f64| match self.directions {
            1 if quotient != 0.0 && !self.is_a_basis() => quotient.signum(),
            m => quotient / m as f64,
        };
        let estimate = self.estimate(objective, site, directions, weight);
        let Estimate {
            sum, base, probed, ..
        } = estimate;
        let ascent = match sum.map(|sum| Along::new(sum, site.radius(self.rho))) {
            Some(Ok(along)) => along.into(),
            Some(Err(reason)) => Ascent::given_up(reason),
            None if probed => Ascent::given_up(PlainReason::NonFinite),
            None => Ascent::given_up(PlainReason::ZeroEstimate),
        };
        Ascent {
            buffers: base.map(|forward| forward.into_twin()),
            ..ascent
        }
    }

    /// `Σ w(Δᵢ) uᵢ` over the directions whose quotient is finite.
    pub(crate) fn estimate<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        directions: impl Iterator<Item = ParamVector>,
        weight: impl Fn(f64) -> f64,
    ) -> Estimate<M, F::Extra> {
        let part = self.part(objective);
        let base = match (self.sides, &part) {
            (Sides::One, None) => Some(objective.probe(None)),
            _ => None,
        };
        let base_loss = match (self.sides, &part) {
            (Sides::One, Some(part)) => Some(objective.value_on(part, None)),
            _ => base.as_ref().map(|forward| forward.loss()),
        };
        let (mut sum, mut first): (Option<ParamVector>, _) = (None, None);
        let mut probed = false;
        for direction in directions {
            let Some(delta) = self.distance(site, &direction) else {
                continue;
            };
            let plus = Offset {
                direction,
                scale: delta,
            };
            probed = true;
            let mut value = |offset: &Offset| match &part {
                Some(part) => objective.value_on(part, Some(offset)),
                None => {
                    let forward = objective.probe(Some(offset));
                    let loss = forward.loss();
                    first.get_or_insert(forward);
                    loss
                }
            };
            let up = value(&plus);
            let quotient = match base_loss {
                Some(base) => (up - base) / delta,
                None => (up - value(&plus.negated())) / (2.0 * delta),
            };
            if !quotient.is_finite() {
                continue;
            }
            let weight = weight(quotient);
            sum = Some(match sum {
                Some(sum) => sum.plus_scaled(&plus.direction, weight),
                None => plus.direction.scaled(weight),
            });
        }
        Estimate {
            sum,
            base,
            first,
            probed,
        }
    }

    /// What a direction is multiplied by for a probe; `None` if it has no length.
    fn distance(&self, site: Site<'_>, direction: &ParamVector) -> Option<f64> {
        match self.delta {
            Delta::Absolute(delta) => Some(delta),
            Delta::Relative(share) => {
                let distance = share * site.radius(self.rho);
                Some(normalised(direction.clone(), distance).ok()?.scale)
            }
        }
    }

    /// The samples that probes look at, spread over the batch; `None` for all.
    fn part<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &Objective<'_, M, F>,
    ) -> Option<Vec<usize>> {
        let samples = objective.samples().filter(|_| self.fraction < 1.0);
        // An empty batch has no part.
        let samples = samples.filter(|samples| *samples > 0)?;
        let count = ((self.fraction * samples as f64).ceil() as usize).clamp(1, samples);
        Some((0..count).map(|i| i * samples / count).collect())
    }
}

/// What probes have found.
pub(crate) struct Estimate<M, E> {
    /// The weighted sum of the directions; `None` if no quotient was finite.
    pub sum: Option<ParamVector>,
    /// The pass at `θ`, of one-sided differences.
    pub base: Option<Forward<M, E>>,
    /// The first probe, if it was of the whole batch.
    pub first: Option<Forward<M, E>>,
    /// Whether there was a direction at all.
    pub probed: bool,
}
