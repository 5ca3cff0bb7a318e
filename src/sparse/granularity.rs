//! In what units weights live and die.

use serde::{Deserialize, Serialize};

use super::Weight;
use super::selection::{positions, top_k};
use crate::error::{Error, Result};
use crate::masks::LiveSet;
use crate::tree::{Axes, Leaf};

/// The units in which the weights of a layer live and die.
///
/// A weight is seen as a matrix of outputs by inputs: a linear layer's as it is, that of a
/// convolution or a transposed convolution with all inputs `(channel, row, column)` of its kernel
/// in a row. The weight of a grouped transposed convolution does not tell its groups, so there an
/// output stands for that output of every group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// Each weight on its own. The default.
    #[default]
    Unstructured,
    /// `live` of every `of` consecutive input channels, at each output and each position of the
    /// kernel: 2:4 is what NVIDIA's sparse tensor cores run. It fixes the layer's density.
    NOfM {
        /// Live weights of a group.
        live: usize,
        /// Size of a group; it has to divide the number of input channels.
        of: usize,
    },
    /// Blocks of the matrix, ranked by the mean of their weights' scores.
    Block {
        /// Outputs of a block; it has to divide the layer's.
        outputs: usize,
        /// Inputs of a block; it has to divide the layer's.
        inputs: usize,
    },
    /// All weights of an output channel or feature, ranked by the mean of their scores.
    OutputChannel,
}

impl Granularity {
    /// Checks that a layer consists of whole units.
    ///
    /// # Errors
    ///
    /// A size of 0, or one that does not divide the layer's.
    pub fn validate(self, weight: &Leaf) -> Result<()> {
        let axes = weight.axes();
        let divides = |unit: usize, size: usize| unit > 0 && size.is_multiple_of(unit);
        let fits = match self {
            Self::Unstructured | Self::OutputChannel => true,
            Self::NOfM { live, of } => 0 < live && live <= of && divides(of, axes.channels),
            Self::Block { outputs, inputs } => {
                divides(outputs, axes.outputs) && divides(inputs, axes.inputs())
            }
        };
        match fits {
            true => Ok(()),
            false => Err(Error::Config {
                field: "granularity",
                value: format!("{self} for `{}` of shape {:?}", weight.path, weight.shape),
                valid: "whole units of the layer's input channels (N:M) or outputs and inputs (blocks); leave layers \
                        that do not fit out of the group",
            }),
        }
    }

    /// The density that N:M fixes.
    pub(super) fn density(self) -> Option<f64> {
        match self {
            Self::NOfM { live, of } => Some(live as f64 / of as f64),
            _ => None,
        }
    }

    /// Number of weights that live and die together.
    pub(super) fn unit_size(self, axes: Axes) -> usize {
        match self {
            Self::Unstructured | Self::NOfM { .. } => 1,
            Self::Block { outputs, inputs } => outputs * inputs,
            Self::OutputChannel => axes.inputs(),
        }
    }

    /// The unit or, for N:M, the group of each of `len` positions.
    fn labels(self, axes: Axes, len: usize) -> Vec<u32> {
        let label = |position| {
            let (row, column) = axes.place(position);
            match self {
                Self::Unstructured => position,
                Self::NOfM { of, .. } => {
                    let (channel, offset) = (column / axes.kernel, column % axes.kernel);
                    (row * axes.kernel + offset) * (axes.channels / of) + channel / of
                }
                Self::Block { outputs, inputs } => {
                    (row / outputs) * (axes.inputs() / inputs) + column / inputs
                }
                Self::OutputChannel => row,
            }
        };
        (0..len).map(|position| label(position) as u32).collect()
    }

    /// Whether a live set consists of whole units, or has exactly N live weights in each group.
    pub(super) fn holds(self, leaf: &Leaf, live: &[bool]) -> bool {
        let size = self.unit_size(leaf.axes());
        let mut counts = vec![0; live.len()];
        for (label, live) in self.labels(leaf.axes(), live.len()).iter().zip(live) {
            counts[*label as usize] += usize::from(*live);
        }
        match self {
            Self::NOfM { live: n, of } => counts[..live.len() / of].iter().all(|count| *count == n),
            _ => counts.iter().all(|count| *count == 0 || *count == size),
        }
    }
}

/// The label of each of a weight's positions, and the number of weights that live and die together.
fn units(weight: &Weight) -> (Vec<u32>, usize) {
    let axes = Axes::of(&weight.layer, &weight.shape);
    let labels = weight.granularity.labels(axes, weight.len());
    (labels, weight.granularity.unit_size(axes))
}

impl std::fmt::Display for Granularity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unstructured => f.write_str("unstructured"),
            Self::NOfM { live, of } => write!(f, "{live}:{of}"),
            Self::Block { outputs, inputs } => write!(f, "{outputs}x{inputs}"),
            Self::OutputChannel => f.write_str("channel"),
        }
    }
}

/// `unstructured`, `N:M`, `OUTPUTSxINPUTS` or `channel`.
impl std::str::FromStr for Granularity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let pair = |separator| {
            let (a, b) = text.split_once(separator)?;
            Some((a.parse().ok()?, b.parse().ok()?))
        };
        if let Some((live, of)) = pair(':') {
            return Ok(Self::NOfM { live, of });
        }
        if let Some((outputs, inputs)) = pair('x') {
            return Ok(Self::Block { outputs, inputs });
        }
        match text {
            "unstructured" => Ok(Self::Unstructured),
            "channel" => Ok(Self::OutputChannel),
            _ => Err(Error::Config {
                field: "granularity",
                value: text.to_string(),
                valid: "unstructured, N:M such as 2:4, OUTPUTSxINPUTS such as 4x4, or channel",
            }),
        }
    }
}

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
