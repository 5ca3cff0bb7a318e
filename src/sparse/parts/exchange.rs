//! One change of masks, as the parts of a recipe say.

use super::Budget;
use super::apportion::apportion;
use super::choices::{Exchange, Parts, Redistribution};
use super::distribution::{floor, layer_counts, live_budget};
use super::drop_grow::{grow_to, keep};
use super::one_shot::keep_globally;
use super::participants::{among_participants, budget_of_participants, everybody};
use crate::error::{Error, Result};
use crate::masks::{LiveSet, count};
use crate::sparse::weight::Weight;

/// What a change of masks comes to.
pub(super) struct Exchanged {
    /// The new live sets, one per weight.
    pub live: Vec<LiveSet>,
    /// Number of live weights before, in the layers that took part.
    pub before: usize,
    /// Number of those that were dropped, even if they grew again.
    pub left: usize,
}

/// Drops weights by one score and grows others by another, in the layers that take part.
pub(super) fn exchange(weights: &[Weight], parts: &Parts, step: u64) -> Result<Exchanged> {
    let goals = Goals::new(weights, parts)?;
    let (mut before, mut left) = (0, 0);
    let live = among_participants(weights, |weights| {
        let kept = survivors(weights, parts, &goals, step)?;
        let places = places(weights, parts, &goals, &kept);
        before = weights.iter().map(|weight| count(&weight.live)).sum();
        left = before - kept.iter().map(|kept| count(kept)).sum::<usize>();
        let layers = weights.iter().zip(&kept).zip(places);
        let grown = layers.map(|((weight, kept), places)| match places {
            0 => Ok(kept.clone()),
            _ => {
                let scores = parts.grow.checked(weight)?;
                let again = parts.regrow_dropped;
                Ok(grow_to(weight, kept, &scores, again, places))
            }
        });
        grown.collect()
    })?;
    Ok(Exchanged { live, before, left })
}

/// How many live weights a change of masks aims at, in the layers that take part.
enum Goals {
    /// As many as before: all layers together or, if some sit out, those that take part.
    Constant { everybody: bool },
    /// In each layer, after the drop and after the growth.
    PerLayer {
        dropped: Vec<usize>,
        grown: Vec<usize>,
    },
    /// Over all layers, which compete.
    Global(usize),
}

impl Goals {
    /// Shares of the budget are computed over all layers, also those that sit out.
    fn new(weights: &[Weight], parts: &Parts) -> Result<Self> {
        let Exchange::Bounds { drop_to, grow_to } = parts.exchange else {
            let everybody = everybody(weights);
            return Ok(Self::Constant { everybody });
        };
        let Budget::PerLayer(distribution) = parts.budget else {
            return match drop_to == grow_to {
                true => Ok(Self::Global(budget_of_participants(weights, drop_to))),
                false => Err(Error::Config {
                    field: "budget",
                    value: format!("global, between sparsities {grow_to} and {drop_to}"),
                    valid: "per layer, where weights grow between bounds",
                }),
            };
        };
        let counts = |sparsity| -> Result<Vec<usize>> {
            let counts = layer_counts(distribution, weights, sparsity, parts.sparsity)?;
            let pairs = counts.into_iter().zip(weights);
            let participants = pairs.filter(|(_, weight)| !weight.sits_out);
            Ok(participants.map(|(count, _)| count).collect())
        };
        Ok(Self::PerLayer {
            dropped: counts(drop_to)?,
            grown: counts(grow_to)?,
        })
    }
}

/// The live weights of each layer that are not dropped.
fn survivors(weights: &[Weight], parts: &Parts, goals: &Goals, step: u64) -> Result<Vec<LiveSet>> {
    let scores = weights.iter().map(|weight| parts.drop.checked(weight));
    let scores: Vec<Vec<f32>> = scores.collect::<Result<_>>()?;
    if let Goals::Global(budget) = goals {
        let live: usize = weights.iter().map(|weight| count(&weight.live)).sum();
        return Ok(keep_globally(weights, &scores, (*budget).min(live)));
    }
    let stay = |layer: usize| {
        let live = count(&weights[layer].live);
        match (goals, parts.exchange) {
            (Goals::PerLayer { dropped, .. }, _) => dropped[layer],
            (_, Exchange::Below(threshold)) => at_least(&weights[layer], &scores[layer], threshold),
            _ => live - floor(live as f64 * parts.schedule.fraction_at(step)),
        }
    };
    let one = |layer: usize| {
        let weight = &weights[layer];
        // Where dropped weights may not grow at once, no more can leave than dead ones can replace.
        let live = count(&weight.live);
        let replaceable = match parts.regrow_dropped {
            _ if weight.density == Some(1.0) => 0,
            true => live,
            false => weight.len() - live,
        };
        let stay = stay(layer).max(live.saturating_sub(replaceable));
        keep(weight, &scores[layer], stay)
    };
    Ok((0..weights.len()).map(one).collect())
}

/// The number of live weights with a score of at least a threshold; half of the live ones if that
/// is more.
fn at_least(weight: &Weight, scores: &[f32], threshold: f64) -> usize {
    let live = count(&weight.live);
    let positions = weight.live.iter().zip(scores);
    let above = positions.filter(|(live, score)| **live && f64::from(**score) >= threshold);
    above.count().max(live.div_ceil(2))
}

/// How many weights each layer grows.
fn places(weights: &[Weight], parts: &Parts, goals: &Goals, kept: &[LiveSet]) -> Vec<usize> {
    let stayed: Vec<usize> = kept.iter().map(|kept| count(kept)).collect();
    match goals {
        Goals::Global(_) => vec![0; weights.len()],
        Goals::PerLayer { grown, .. } => places_up_to(grown, &stayed),
        Goals::Constant { everybody } => places_of_the_lost(weights, parts, *everybody, &stayed),
    }
}

fn places_up_to(goals: &[usize], stayed: &[usize]) -> Vec<usize> {
    let pairs = goals.iter().zip(stayed);
    let room = pairs.map(|(goal, stayed)| goal.saturating_sub(*stayed));
    let room: Vec<usize> = room.collect();
    let shares: Vec<f64> = room.iter().map(|room| *room as f64).collect();
    // Counts are apportioned at both bounds, and a layer's may be one larger at the lower one.
    let lacking = goals.iter().sum::<usize>();
    apportion(&shares, &room, lacking.saturating_sub(stayed.iter().sum()))
}

fn places_of_the_lost(
    weights: &[Weight],
    parts: &Parts,
    everybody: bool,
    stayed: &[usize],
) -> Vec<usize> {
    let lost = |layer: usize| count(&weights[layer].live) - stayed[layer];
    let lost: Vec<usize> = (0..weights.len()).map(lost).collect();
    let room = |layer: usize| match parts.regrow_dropped {
        true => weights[layer].len() - stayed[layer],
        false => weights[layer].len() - stayed[layer] - lost[layer],
    };
    let room: Vec<usize> = (0..weights.len()).map(room).collect();
    let shares: Vec<f64> = match parts.redistribution {
        Redistribution::None => {
            let layers = lost.iter().zip(&room);
            return layers.map(|(lost, room)| *lost.min(room)).collect();
        }
        Redistribution::BySurvivors => stayed.iter().map(|kept| *kept as f64).collect(),
        Redistribution::ByGradient => weights.iter().map(mean_gradient).collect(),
    };
    // What the budget lacks, so that the rounding of blocks does not add up; single weights: what
    // was lost.
    let lacking = match everybody {
        true => {
            let size = weights.iter().map(Weight::len).sum();
            live_budget(size, parts.sparsity).saturating_sub(stayed.iter().sum())
        }
        false => lost.iter().sum(),
    };
    let total = lacking.min(room.iter().sum());
    apportion(&shares, &room, total)
}

/// Mean `|∂L/∂w|` over live weights; 0 without one.
fn mean_gradient(weight: &Weight) -> f64 {
    let live = weight.live.iter().zip(&weight.gradient);
    let sum: f64 = live
        .filter(|(live, _)| **live)
        .map(|(_, slope)| f64::from(slope.abs()))
        .sum();
    sum / count(&weight.live).max(1) as f64
}
