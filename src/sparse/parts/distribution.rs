//! How a sparsity is shared out over layers. Pure arithmetic on shapes.

use serde::{Deserialize, Serialize};

use super::apportion::apportion;
use crate::error::{Error, Result, check};
use crate::sparse::weight::Weight;

/// The density of each layer.
///
/// Counts are exact and add up to `round((1 − S) N)`: layers take the whole part of their share and
/// the largest fractions round up. The published codes round each layer on its own, `⌊(1 − d) N⌋`
/// dead weights of `N`, and end over the budget by up to two weights a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Every layer has the same density.
    Uniform,
    /// The first layer dense, the last at a density of at least 0.2, the others alike.
    ///
    /// Liu et al., "The Unreasonable Effectiveness of Random Pruning", 2022 (arXiv 2202.02643);
    /// here the layers between make up for the difference, so that the budget holds.
    UniformPlus,
    /// Erdős–Rényi: density ∝ `(n_in + n_out)/(n_in · n_out)`, counted in channels or features.
    ///
    /// Mocanu et al., 2018 (arXiv 1707.04780).
    Er,
    /// Erdős–Rényi-kernel: density ∝ `Σ dims / Π dims`, kernel dimensions included. The default.
    ///
    /// Evci et al., "Rigging the Lottery", 2020 (arXiv 1911.11134), solved as in the authors' code.
    #[default]
    Erk,
}

impl Distribution {
    /// The density of each layer for a global sparsity.
    ///
    /// Layers whose density would exceed 1 become dense and the others share what is left.
    ///
    /// # Errors
    ///
    /// A sparsity out of [0, 1); [`Error::Infeasible`] if the layers forced to be dense exceed the
    /// budget, or if a layer would be left without a live weight.
    ///
    /// ```
    /// use zosam::sparse::Distribution;
    /// let shapes = [vec![32, 3, 3, 3], vec![64, 32, 3, 3]];
    /// assert_eq!(Distribution::Uniform.densities(&shapes, 0.5).unwrap(), [0.5, 0.5]);
    /// let erk = Distribution::Erk.densities(&shapes, 0.9).unwrap();
    /// assert!(erk[0] > erk[1]);
    /// ```
    pub fn densities(self, shapes: &[Vec<usize>], sparsity: f64) -> Result<Vec<f64>> {
        check_sparsity(sparsity)?;
        if shapes.is_empty() {
            return Ok(Vec::new());
        }
        let budget = (1.0 - sparsity) * sizes(shapes).iter().sum::<usize>() as f64;
        if budget < shapes.len() as f64 {
            let reason = format!("{budget:.1} live weights cannot give each layer one");
            return Err(infeasible(shapes, sparsity, reason));
        }
        let densities = match self {
            Self::Uniform => vec![1.0 - sparsity; shapes.len()],
            Self::UniformPlus => uniform_plus(shapes, sparsity)?,
            Self::Er => solve(shapes, sparsity, er)?,
            Self::Erk => solve(shapes, sparsity, erk)?,
        };
        let live = live_counts(shapes, &densities, sparsity);
        match live.iter().position(|live| *live == 0) {
            Some(layer) => Err(infeasible(
                shapes,
                sparsity,
                format!(
                    "a layer of shape {:?} would have no live weight",
                    shapes[layer]
                ),
            )),
            None => Ok(densities),
        }
    }

    /// The number of live weights of each layer for a global sparsity.
    ///
    /// # Errors
    ///
    /// As [`densities`](Self::densities).
    pub fn live_counts(self, shapes: &[Vec<usize>], sparsity: f64) -> Result<Vec<usize>> {
        let densities = self.densities(shapes, sparsity)?;
        Ok(live_counts(shapes, &densities, sparsity))
    }
}

/// The number of live weights of each layer at a sparsity, where layers may have a density of their
/// own: that density at the sparsity `nominal`, in proportion at others. The other layers share the
/// rest of the budget.
pub(in crate::sparse) fn layer_counts(
    distribution: Distribution,
    weights: &[Weight],
    sparsity: f64,
    nominal: f64,
) -> Result<Vec<usize>> {
    let (fixed, rest) = fixed_counts(weights, sparsity, nominal)?;
    let open: Vec<&Weight> = weights.iter().filter(|w| w.density.is_none()).collect();
    let shapes: Vec<_> = open.iter().map(|weight| weight.shape.clone()).collect();
    let shared = match open.is_empty() {
        true => Vec::new(),
        false if open.len() == weights.len() => distribution.live_counts(&shapes, sparsity)?,
        false => {
            let size: usize = open.iter().map(|weight| weight.len()).sum();
            let left = 1.0 - rest as f64 / size as f64;
            distribution.live_counts(&shapes, left.clamp(0.0, 1.0 - f64::EPSILON))?
        }
    };
    let mut shared = shared.into_iter();
    Ok(fixed
        .into_iter()
        .map(|count| count.unwrap_or_else(|| shared.next().expect("one for each open layer")))
        .collect())
}

/// The counts of layers with a density of their own, and what the budget leaves to the others.
pub(in crate::sparse) fn fixed_counts(
    weights: &[Weight],
    sparsity: f64,
    nominal: f64,
) -> Result<(Vec<Option<usize>>, usize)> {
    let scale = (1.0 - sparsity) / (1.0 - nominal);
    let count = |weight: &Weight| {
        let density = weight.density?;
        let density = if density < 1.0 { density * scale } else { 1.0 };
        let count = (density * weight.len() as f64).round() as usize;
        Some(count.min(weight.len()))
    };
    let counts: Vec<Option<usize>> = weights.iter().map(count).collect();
    let total: usize = weights.iter().map(Weight::len).sum();
    let taken: usize = counts.iter().flatten().sum();
    let open: usize = weights
        .iter()
        .filter(|weight| weight.density.is_none())
        .map(Weight::len)
        .sum();
    let budget = live_budget(total, sparsity);
    if budget == 0 {
        return Err(Error::Infeasible {
            sparsity,
            weights: total,
            layers: weights.len(),
            reason: "not one weight would be live".to_string(),
        });
    }
    let rest = budget.saturating_sub(taken);
    // Each fixed layer's count was rounded on its own.
    let off = (taken + rest.min(open)).abs_diff(budget);
    if off > weights.len() || (open > 0 && rest == 0) {
        return Err(Error::Infeasible {
            sparsity,
            weights: total,
            layers: weights.len(),
            reason: format!(
                "layers with a density of their own, N:M among them, take {taken} live weights of {budget}, and the \
                 others have {open} weights for the rest; with them all the sparsity is {:.4}",
                1.0 - taken as f64 / (total - open).max(1) as f64
            ),
        });
    }
    Ok((counts, rest))
}

/// Dense layers stay dense; the others share the rest of the budget.
fn live_counts(shapes: &[Vec<usize>], densities: &[f64], sparsity: f64) -> Vec<usize> {
    let sizes = sizes(shapes);
    let budget = live_budget(sizes.iter().sum(), sparsity);
    let is_dense = |layer: usize| densities[layer] >= 1.0;
    let dense: usize = (0..sizes.len())
        .filter(|l| is_dense(*l))
        .map(|l| sizes[l])
        .sum();
    let share = |layer: usize| densities[layer] * sizes[layer] as f64;
    let shares: Vec<f64> = (0..sizes.len()).map(share).collect();
    let room: Vec<usize> = (0..sizes.len())
        .map(|layer| if is_dense(layer) { 0 } else { sizes[layer] })
        .collect();
    let open = room.iter().sum();
    let mut counts = apportion(&shares, &room, budget.saturating_sub(dense).min(open));
    for layer in (0..sizes.len()).filter(|layer| is_dense(*layer)) {
        counts[layer] = sizes[layer];
    }
    counts
}

/// The number of live weights of `total` at a sparsity.
pub(in crate::sparse) fn live_budget(total: usize, sparsity: f64) -> usize {
    ((1.0 - sparsity) * total as f64).round() as usize
}

fn uniform_plus(shapes: &[Vec<usize>], sparsity: f64) -> Result<Vec<f64>> {
    let density = 1.0 - sparsity;
    let mut densities = vec![density; shapes.len()];
    densities[0] = 1.0;
    if let [_, .., last] = &mut densities[..] {
        *last = last.max(0.2);
    }
    let sizes = sizes(shapes);
    let (middle, ends): (Vec<usize>, Vec<usize>) =
        (0..sizes.len()).partition(|layer| *layer > 0 && *layer + 1 < sizes.len());
    let fixed: f64 = ends.iter().map(|l| densities[*l] * sizes[*l] as f64).sum();
    let between: usize = middle.iter().map(|layer| sizes[*layer]).sum();
    let rest = density * sizes.iter().sum::<usize>() as f64 - fixed;
    if rest <= 0.0 || between == 0 {
        let reason = "the dense first and the last layer already exceed the budget".to_string();
        return Err(infeasible(shapes, sparsity, reason));
    }
    for layer in middle {
        densities[layer] = rest / between as f64;
    }
    Ok(densities)
}

/// Floor that forgives rounding: 0.7 · 90 is 63, although f64 makes a little less of it.
pub(in crate::sparse) fn floor(value: f64) -> usize {
    (value + 1e-9 * value.max(1.0)).floor() as usize
}

fn er(shape: &[usize]) -> f64 {
    let (first, second) = (shape[0] as f64, shape[1.min(shape.len() - 1)] as f64);
    (first + second) / (first * second)
}

fn erk(shape: &[usize]) -> f64 {
    let sum: usize = shape.iter().sum();
    let product: usize = shape.iter().product();
    sum as f64 / product as f64
}

/// Finds the factor by which raw densities are scaled, growing the set of dense layers until all
/// fit.
fn solve(shapes: &[Vec<usize>], sparsity: f64, raw: fn(&[usize]) -> f64) -> Result<Vec<f64>> {
    let raw: Vec<f64> = shapes.iter().map(|shape| raw(shape)).collect();
    let sizes = sizes(shapes);
    let mut dense = vec![false; shapes.len()];
    loop {
        let mut budget = 0.0;
        let mut divisor = 0.0;
        for (layer, size) in sizes.iter().enumerate() {
            let zeros = floor(sparsity * *size as f64) as f64;
            if dense[layer] {
                budget -= zeros;
            } else {
                budget += *size as f64 - zeros;
                divisor += raw[layer] * *size as f64;
            }
        }
        if dense.iter().all(|dense| *dense) {
            return Ok(vec![1.0; shapes.len()]);
        }
        if budget <= 0.0 {
            let reason = "the layers forced to be dense already exceed the budget".to_string();
            return Err(infeasible(shapes, sparsity, reason));
        }
        let factor = budget / divisor;
        let largest = (0..raw.len())
            .filter(|layer| !dense[*layer])
            .map(|layer| raw[layer])
            .fold(0.0, f64::max);
        if largest * factor <= 1.0 {
            let layers = raw.iter().zip(&dense);
            return Ok(layers
                .map(|(raw, dense)| if *dense { 1.0 } else { raw * factor })
                .collect());
        }
        for layer in 0..raw.len() {
            dense[layer] |= raw[layer] == largest;
        }
    }
}

fn sizes(shapes: &[Vec<usize>]) -> Vec<usize> {
    shapes.iter().map(|shape| shape.iter().product()).collect()
}

fn infeasible(shapes: &[Vec<usize>], sparsity: f64, reason: String) -> Error {
    Error::Infeasible {
        sparsity,
        weights: sizes(shapes).iter().sum(),
        layers: shapes.len(),
        reason,
    }
}

/// Checks a share of dead weights.
pub(in crate::sparse) fn check_sparsity(sparsity: f64) -> Result<()> {
    let valid = (0.0..1.0).contains(&sparsity);
    check("sparsity", sparsity, valid, "at least 0 and less than 1")
}
