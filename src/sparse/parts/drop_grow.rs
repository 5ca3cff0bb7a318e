//! Exchanging weak live weights for promising dead ones.

use super::choose::choose;
use super::distribution::floor;
use super::{Granularity, Score};
use crate::error::Result;
use crate::masks::{LiveSet, count};
use crate::sparse::weight::Weight;

/// Drops `⌊fraction · live⌋` weights of a layer by one score and grows as many by another.
///
/// A weight dropped in this call may be grown again by it, and then counts as never having been
/// away: it keeps value and optimizer state (RigL's `reinit_when_same = False`). The number of live
/// weights does not change. Ties go to the lower position; the published RigL code breaks them with
/// noise, by which a dead weight can outrank a tiny live one.
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

/// The `k` best of a layer's live weights, or all if there are fewer.
pub(super) fn keep(weight: &Weight, scores: &[f32], k: usize) -> LiveSet {
    let k = k.min(count(&weight.live));
    let none = vec![false; weight.len()];
    choose(weight, scores, &none, |i| weight.live[i], k)
}
