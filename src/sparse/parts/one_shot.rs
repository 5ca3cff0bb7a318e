//! Choosing live weights once.

use serde::{Deserialize, Serialize};

use super::choose::{choose, choose_globally};
use super::distribution::{check_sparsity, fixed_counts, layer_counts};
use super::selection::{positions, top_k};
use super::{Distribution, Granularity, Score};
use crate::error::Result;
use crate::masks::LiveSet;
use crate::sparse::weight::Weight;

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
        Budget::Global => global(weights, &scores, sparsity),
        Budget::PerLayer(distribution) => {
            let counts = layer_counts(distribution, weights, sparsity, sparsity)?;
            let layers = weights.iter().zip(&scores).zip(counts);
            Ok(layers
                .map(|((weight, scores), count)| {
                    choose(weight, scores, &vec![false; weight.len()], |_| true, count)
                })
                .collect())
        }
    }
}

fn global(weights: &[Weight], scores: &[Vec<f32>], sparsity: f64) -> Result<Vec<LiveSet>> {
    let (fixed, rest) = fixed_counts(weights, sparsity, sparsity)?;
    Ok(compete(weights, scores, &fixed, |_, _| true, rest))
}

/// The best of each layer with a count of its own, and the `k` best of all others together.
fn compete(
    weights: &[Weight],
    scores: &[Vec<f32>],
    fixed: &[Option<usize>],
    candidate: impl Fn(usize, usize) -> bool,
    k: usize,
) -> Vec<LiveSet> {
    let open: Vec<usize> = (0..weights.len()).filter(|i| fixed[*i].is_none()).collect();
    let unstructured = |i: &usize| weights[*i].granularity == Granularity::Unstructured;
    let mut shared = match open.iter().all(unstructured) {
        // In linear time.
        true => {
            let together: Vec<f32> = open
                .iter()
                .flat_map(|i| scores[*i].iter().copied())
                .collect();
            let is_open = open
                .iter()
                .flat_map(|layer| (0..weights[*layer].len()).map(|i| candidate(*layer, i)));
            let is_open: Vec<bool> = is_open.collect();
            let candidates = positions(together.len(), |i| is_open[i]);
            let k = k.min(candidates.len());
            let chosen = live_set(together.len(), &top_k(&together, candidates, k));
            split(&chosen, open.iter().map(|i| weights[*i].len()))
        }
        false => {
            let layers: Vec<&Weight> = open.iter().map(|i| &weights[*i]).collect();
            let scores: Vec<&Vec<f32>> = open.iter().map(|i| &scores[*i]).collect();
            choose_globally(&layers, &scores, |layer, i| candidate(open[layer], i), k)
        }
    }
    .into_iter();
    let layer = |i: usize| match fixed[i] {
        None => shared.next().expect("one for each open layer"),
        Some(count) => {
            let none = vec![false; weights[i].len()];
            choose(
                &weights[i],
                &scores[i],
                &none,
                |position| candidate(i, position),
                count,
            )
        }
    };
    (0..weights.len()).map(layer).collect()
}

/// Cuts a live set over all weights into those of the layers.
fn split(live: &[bool], lengths: impl Iterator<Item = usize>) -> Vec<LiveSet> {
    let mut rest = live;
    let layers = lengths.map(|length| {
        let (layer, after) = rest.split_at(length);
        rest = after;
        layer.to_vec()
    });
    layers.collect()
}

/// The `k` best of the live weights of all layers together; layers that are to be dense stay so.
pub(in crate::sparse) fn keep_globally(
    weights: &[Weight],
    scores: &[Vec<f32>],
    k: usize,
) -> Vec<LiveSet> {
    let dense = |weight: &Weight| weight.density.map(|_| weight.len());
    let fixed: Vec<Option<usize>> = weights.iter().map(dense).collect();
    let rest = k.saturating_sub(fixed.iter().flatten().sum());
    compete(
        weights,
        scores,
        &fixed,
        |layer, i| weights[layer].live[i],
        rest,
    )
}

fn live_set(len: usize, live: &[u32]) -> LiveSet {
    let mut set = vec![false; len];
    for position in live {
        set[*position as usize] = true;
    }
    set
}
