//! Choosing live weights once.

use serde::{Deserialize, Serialize};

use super::distribution::live_budget;
use super::random::check_sparsity;
use super::selection::{positions, top_k};
use super::{Distribution, Score, Weight};
use crate::error::{Error, Result};
use crate::masks::LiveSet;

/// Over what weights compete with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Budget {
    /// All sparse weights share `round((1 − S) N)` places.
    #[default]
    Global,
    /// Each layer has its own share.
    PerLayer(Distribution),
}

impl Budget {
    /// The density of each layer; `None` where layers compete.
    pub(super) fn densities(
        self,
        shapes: &[Vec<usize>],
        sparsity: f64,
    ) -> Result<Option<Vec<f64>>> {
        match self {
            Self::Global => Ok(None),
            Self::PerLayer(distribution) => distribution.densities(shapes, sparsity).map(Some),
        }
    }
}

/// Keeps the best-scored weights.
///
/// # Errors
///
/// If the sparsity is out of [0, 1), the budget infeasible, or a score is NaN.
pub fn one_shot(
    weights: &[Weight],
    score: &dyn Score,
    sparsity: f64,
    budget: Budget,
) -> Result<Vec<LiveSet>> {
    check_sparsity(sparsity)?;
    let scores = weights.iter().map(|weight| score.checked(weight));
    let scores: Vec<Vec<f32>> = scores.collect::<Result<_>>()?;
    match budget {
        Budget::Global => global(&scores, sparsity),
        Budget::PerLayer(distribution) => {
            let shapes: Vec<_> = weights.iter().map(|weight| weight.shape.clone()).collect();
            let counts = distribution.live_counts(&shapes, sparsity)?;
            let layers = scores.iter().zip(counts);
            Ok(layers
                .map(|(scores, count)| {
                    let all = positions(scores.len(), |_| true);
                    live_set(scores.len(), &top_k(scores, all, count))
                })
                .collect())
        }
    }
}

fn global(scores: &[Vec<f32>], sparsity: f64) -> Result<Vec<LiveSet>> {
    let concatenated = scores.concat();
    let total = concatenated.len();
    let keep = live_budget(total, sparsity);
    if keep == 0 {
        return Err(Error::Infeasible {
            sparsity,
            weights: total,
            layers: scores.len(),
            reason: "not one weight would be live".to_string(),
        });
    }
    let all = positions(total, |_| true);
    let live = live_set(total, &top_k(&concatenated, all, keep));
    Ok(split(&live, scores.iter().map(Vec::len)))
}

/// Cuts a live set over all weights into those of the layers.
pub(super) fn split(live: &[bool], lengths: impl Iterator<Item = usize>) -> Vec<LiveSet> {
    let mut rest = live;
    let layers = lengths.map(|length| {
        let (layer, after) = rest.split_at(length);
        rest = after;
        layer.to_vec()
    });
    layers.collect()
}

/// The `k` best of the live weights of all layers together.
pub(super) fn keep_globally(weights: &[Weight], scores: &[Vec<f32>], k: usize) -> Vec<LiveSet> {
    let live: Vec<bool> = weights.iter().flat_map(|w| w.live.clone()).collect();
    let candidates = positions(live.len(), |i| live[i]);
    let kept = live_set(live.len(), &top_k(&scores.concat(), candidates, k));
    split(&kept, weights.iter().map(Weight::len))
}

pub(super) fn live_set(len: usize, live: &[u32]) -> LiveSet {
    let mut set = vec![false; len];
    for position in live {
        set[*position as usize] = true;
    }
    set
}
