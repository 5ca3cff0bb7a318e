//! Exchanging weak live weights for promising dead ones.

use super::distribution::floor;
use super::one_shot::live_set;
use super::selection::{positions, top_k};
use super::{Score, Weight};
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
    let candidates = positions(weight.len(), |i| weight.live[i]);
    let kept = top_k(&drop.checked(weight)?, candidates, live - exchanged);
    let mut new = live_set(weight.len(), &kept);
    let candidates = positions(weight.len(), |i| !new[i]);
    for position in top_k(&grow.checked(weight)?, candidates, exchanged) {
        new[position as usize] = true;
    }
    Ok(new)
}
