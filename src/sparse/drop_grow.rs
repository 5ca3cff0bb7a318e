//! Exchanging weak live weights for promising dead ones.

use super::distribution::{floor, layer_counts, live_budget};
use super::granularity::choose;
use super::one_shot::keep_globally;
use super::recipe::{Exchange, Parts, stay};
use super::{Budget, Granularity, Score, Weight};
use crate::error::Result;
use crate::masks::{LiveSet, count};

/// Drops `⌊fraction · live⌋` weights of a layer by one score and grows as many by another.
///
/// A weight dropped in this call may be grown again by it, and then counts as never having been away:
/// it keeps value and optimizer state (RigL's `reinit_when_same = False`). The number of live weights
/// does not change. Ties go to the lower position; the published RigL code breaks them with noise, by
/// which a dead weight can outrank a tiny live one.
///
/// # Errors
///
/// If a score is NaN.
pub fn drop_and_grow(
    weight: &Weight,
    drop: &dyn Score,
    grow: &dyn Score,
    fraction: f64,
) -> Result<LiveSet> {
    let live = count(&weight.live);
    let exchanged = floor(live as f64 * fraction);
    let kept = keep(weight, &drop.checked(weight)?, live - exchanged);
    Ok(grow_to(
        weight,
        &kept,
        &grow.checked(weight)?,
        true,
        exchanged,
    ))
}

/// Adds the `places` best dead positions to those kept.
pub(super) fn grow_to(
    weight: &Weight,
    kept: &LiveSet,
    scores: &[f32],
    regrow_dropped: bool,
    places: usize,
) -> LiveSet {
    // An N:M group may have no other dead weight to put in a dropped one's place.
    let again = regrow_dropped || matches!(weight.granularity, Granularity::NOfM { .. });
    let candidate = |i: usize| !kept[i] && (again || !weight.live[i]);
    choose(weight, scores, kept, candidate, places)
}

/// The live weights of each layer that are not dropped.
pub(super) fn survivors(weights: &[Weight], parts: &Parts, step: u64) -> Result<Vec<LiveSet>> {
    let scores = weights.iter().map(|weight| parts.drop.checked(weight));
    let scores: Vec<Vec<f32>> = scores.collect::<Result<_>>()?;
    let counts: Vec<usize> = match (parts.exchange, parts.budget) {
        (Exchange::Fraction, _) => {
            let live = weights.iter().map(|weight| count(&weight.live));
            live.map(|live| stay(parts, step, live)).collect()
        }
        (Exchange::Below(threshold), _) => {
            let layers = weights.iter().zip(&scores);
            layers
                .map(|(weight, scores)| at_least(weight, scores, threshold))
                .collect()
        }
        (Exchange::Bounds { drop_to, .. }, Budget::PerLayer(distribution)) => {
            layer_counts(distribution, weights, drop_to, parts.sparsity)?
        }
        (Exchange::Bounds { drop_to, .. }, Budget::Global) => {
            let total = weights.iter().map(Weight::len).sum();
            let live: usize = weights.iter().map(|weight| count(&weight.live)).sum();
            let kept = live_budget(total, drop_to).min(live);
            return Ok(keep_globally(weights, &scores, kept));
        }
    };
    let layers = weights.iter().zip(&scores).zip(counts);
    Ok(layers
        .map(|((weight, scores), stay)| {
            // Where dropped weights may not grow at once, no more can leave than dead ones can replace.
            let live = count(&weight.live);
            let replaceable = match parts.regrow_dropped {
                _ if weight.density == Some(1.0) => 0,
                true => live,
                false => weight.len() - live,
            };
            keep(weight, scores, stay.max(live.saturating_sub(replaceable)))
        })
        .collect())
}

/// The `k` best of a layer's live weights, or all if there are fewer.
fn keep(weight: &Weight, scores: &[f32], k: usize) -> LiveSet {
    let k = k.min(count(&weight.live));
    let none = vec![false; weight.len()];
    choose(weight, scores, &none, |i| weight.live[i], k)
}

/// The number of live weights with a score of at least a threshold; half of the live ones if that is more.
fn at_least(weight: &Weight, scores: &[f32], threshold: f64) -> usize {
    let live = count(&weight.live);
    let positions = weight.live.iter().zip(scores);
    let above = positions.filter(|(live, score)| **live && f64::from(**score) >= threshold);
    above.count().max(live.div_ceil(2))
}
