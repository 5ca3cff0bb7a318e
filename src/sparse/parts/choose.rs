//! Choosing the best weights in units: of a layer, and of all layers together.

use super::Granularity;
use super::selection::{positions, top_k};
use crate::masks::LiveSet;
use crate::sparse::weight::Weight;
use crate::tree::Axes;

/// Adds the best `k` candidates of a layer to those kept, in whole units; of an N:M group never
/// more than N.
pub(super) fn choose(
    weight: &Weight,
    scores: &[f32],
    kept: &[bool],
    candidate: impl Fn(usize) -> bool,
    k: usize,
) -> LiveSet {
    let mut live = kept.to_vec();
    let mut add = |chosen: Vec<u32>| {
        for position in chosen {
            live[position as usize] = true;
        }
    };
    match weight.granularity {
        Granularity::Unstructured => {
            let candidates = positions(weight.len(), candidate);
            add(top_k(scores, candidates, k));
        }
        Granularity::NOfM { live: n, of } => {
            let (labels, _) = units(weight);
            let mut groups = vec![Vec::new(); weight.len() / of];
            let mut room = vec![n; groups.len()];
            for (position, label) in labels.iter().enumerate() {
                if kept[position] {
                    room[*label as usize] = room[*label as usize].saturating_sub(1);
                } else if candidate(position) {
                    groups[*label as usize].push(position as u32);
                }
            }
            let eligible = groups.into_iter().zip(room).flat_map(|(group, room)| {
                let room = room.min(group.len());
                top_k(scores, group, room)
            });
            let eligible: Vec<u32> = eligible.collect();
            let k = k.min(eligible.len());
            add(top_k(scores, eligible, k));
        }
        Granularity::Block { .. } | Granularity::OutputChannel => {
            let (labels, size) = units(weight);
            let units = weight.len() / size;
            let (sums, open) = unit_scores(&labels, scores, units, &candidate);
            let candidates = positions(units, |unit| open[unit]);
            // At least one, so that no layer dies of rounding.
            let whole = ((k as f64 / size as f64).round() as usize).max(usize::from(k > 0));
            let k = whole.min(candidates.len());
            let mut chosen = vec![false; units];
            for unit in top_k(&sums, candidates, k) {
                chosen[unit as usize] = true;
            }
            add(positions(weight.len(), |i| chosen[labels[i] as usize]));
        }
    }
    live
}

/// The sum of each unit's scores, and whether it is a candidate.
fn unit_scores(
    labels: &[u32],
    scores: &[f32],
    units: usize,
    candidate: &impl Fn(usize) -> bool,
) -> (Vec<f32>, Vec<bool>) {
    let mut sums = vec![0.0_f64; units];
    let mut open = vec![false; units];
    for (position, label) in labels.iter().enumerate() {
        sums[*label as usize] += f64::from(scores[position]);
        open[*label as usize] |= candidate(position);
    }
    // Sums of opposite infinities are no numbers; such a unit ranks last.
    let sums = sums.into_iter().map(|sum| match sum.is_nan() {
        true => f32::NEG_INFINITY,
        false => sum as f32,
    });
    (sums.collect(), open)
}

/// Keeps the best candidates of all layers together, about `k` of them in whole units: the best
/// first, until `k` is reached as nearly as units allow.
pub(super) fn choose_globally(
    weights: &[&Weight],
    scores: &[&Vec<f32>],
    candidate: impl Fn(usize, usize) -> bool,
    k: usize,
) -> Vec<LiveSet> {
    let mut ranked = Vec::new();
    let mut labels = Vec::new();
    for (layer, weight) in weights.iter().enumerate() {
        let (own, size) = units(weight);
        let units = weight.len() / size;
        let (sums, open) = unit_scores(&own, scores[layer], units, &|i| candidate(layer, i));
        let open = (0..units).filter(|unit| open[*unit]);
        ranked.extend(open.map(|unit| (sums[unit] / size as f32, layer, unit, size)));
        labels.push(own);
    }
    ranked.sort_by(|a, b| {
        (b.0 + 0.0)
            .total_cmp(&(a.0 + 0.0))
            .then((a.1, a.2).cmp(&(b.1, b.2)))
    });
    let mut chosen: Vec<Vec<bool>> = weights
        .iter()
        .map(|weight| vec![false; weight.len()])
        .collect();
    let mut total = 0;
    for (_, layer, unit, size) in ranked {
        // A unit goes in if at least half of it fits.
        if total + size.div_ceil(2) <= k {
            chosen[layer][unit] = true;
            total += size;
        }
    }
    let layers = labels.iter().zip(chosen);
    layers
        .map(|(labels, chosen)| labels.iter().map(|unit| chosen[*unit as usize]).collect())
        .collect()
}

/// The label of each of a weight's positions, and the number of weights that live and die together.
fn units(weight: &Weight) -> (Vec<u32>, usize) {
    let axes = Axes::of(&weight.layer, &weight.shape);
    let labels = weight.granularity.labels(axes, weight.len());
    (labels, weight.granularity.unit_size(axes))
}
