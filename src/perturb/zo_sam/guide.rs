//! Directions from the gradients of earlier steps.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::error::{Result, check};
use crate::masks::Masks;
use crate::perturb::{Memory, Site};
use crate::tree::ParamVector;

const COUNT: &str = "gradients";
/// Share of the old value when a correlation is averaged: a memory of some fifty steps.
const DECAY: f64 = 0.98;
/// Added to the diagonal of the correlations, which are estimates.
const RIDGE: f64 = 0.1;
/// Steps of subspace iteration.
const ITERATIONS: usize = 2;

/// Directions drawn from the span of the last gradients, which training has computed anyway.
///
/// The gradients `g₁ … g_k` of the last `history` steps (each scaled to length 1, live weights
/// only) hold a large part of the next one. With `prediction` the first direction is the linear
/// forecast `Σ cⱼ gⱼ`. Its coefficients solve `R c = r` with `Rᵢⱼ = r(|i − j|)` and `r(l)` a
/// running average of `⟨g_t, g_{t−l}⟩` (Yule and Walker's equations). All other directions are
/// `(G Gᵀ)² G z` with standard normal `z` and the gradients as columns of `G`: draws from the span
/// that lean towards its principal axes. All are made orthonormal, so that m probes find the
/// gradient's projection onto them. Costs `history` vectors of the size of the live weights, and
/// some five times m as many inner products a step.
///
/// This crate's own; `docs/RESULTS.md` has what it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Guide {
    /// Number k of gradients that are kept, at least 1. Default 10.
    pub history: usize,
    /// Whether the first direction is the forecast. Default true.
    pub prediction: bool,
}

impl Default for Guide {
    fn default() -> Self {
        Self {
            history: 10,
            prediction: true,
        }
    }
}

impl Guide {
    pub(super) fn check(&self) -> Result<()> {
        let history = self.history as f64;
        check("guide.history", history, self.history >= 1, "at least 1")
    }

    /// Takes in the gradient of a step.
    pub(super) fn remember(&self, gradient: ParamVector, masks: &Masks, memory: &mut Memory) {
        let live = masks.gather(gradient);
        let earlier = (1..=self.known(memory)).map(|lag| self.earlier(memory, lag));
        let earlier: Vec<_> = std::iter::once(&live).chain(earlier).collect();
        let products = live.dots(&earlier);
        let norm = products[0].sqrt();
        if !norm.is_finite() || norm == 0.0 {
            return;
        }
        let count = taken(memory);
        for (lag, product) in (1..).zip(&products[1..]) {
            let now = product / norm;
            // A plain mean at first: gradient `count` is the (count − lag + 1)th that has one so
            // long before it.
            let seen = (count + 1 - lag as u64) as f64;
            let decay = DECAY.min(1.0 - 1.0 / seen);
            let old = memory.number(&correlation(lag)).unwrap_or(0.0);
            memory.put_number(&correlation(lag), decay * old + (1.0 - decay) * now);
        }
        let live = live.scaled(1.0 / norm);
        memory.put_live(&slot(count as usize % self.history), live);
        memory.put_number(COUNT, (count + 1) as f64);
    }

    /// Up to `count` directions of live components, orthonormal; for 0 the first one as it is; none
    /// before the first gradient.
    pub(super) fn directions(
        &self,
        count: usize,
        site: Site<'_>,
        memory: &Memory,
    ) -> Vec<ParamVector> {
        let known = self.known(memory);
        if known == 0 {
            return Vec::new();
        }
        let mut directions = Vec::new();
        for index in 0..count.max(1).min(known) {
            directions.push(match (index, self.prediction) {
                (0, true) => self.combined(memory, self.forecast(memory)),
                _ => self.principal(memory, draw(known, index as u64, site)),
            });
        }
        match count {
            // The forecast alone is normalised by who asked for it.
            0 => directions,
            _ => orthonormal(directions),
        }
    }

    /// `Σ c_l g_{t−l}`.
    fn combined(&self, memory: &Memory, coefficients: Vec<f64>) -> ParamVector {
        let mut sum = ParamVector::default();
        for (lag, coefficient) in (1..).zip(coefficients) {
            sum = sum.plus_scaled(self.earlier(memory, lag), coefficient);
        }
        sum
    }

    /// A random direction, turned towards those that most of the gradients share.
    fn principal(&self, memory: &Memory, mut coefficients: Vec<f64>) -> ParamVector {
        let mut direction = self.combined(memory, coefficients);
        for _ in 0..ITERATIONS {
            let earlier = (1..=self.known(memory)).map(|lag| self.earlier(memory, lag));
            coefficients = direction.dots(&earlier.collect::<Vec<_>>());
            direction = self.combined(memory, coefficients);
        }
        direction
    }

    /// Coefficients of the forecast, by lag.
    fn forecast(&self, memory: &Memory) -> Vec<f64> {
        let known = self.known(memory);
        // Right after the first gradient there is no correlation yet.
        let at = |lag: usize| match lag {
            0 => 1.0 + RIDGE,
            _ => memory.number(&correlation(lag)).unwrap_or(0.0),
        };
        let matrix = (0..known).map(|i| (0..known).map(|j| at(i.abs_diff(j))).collect());
        let coefficients = solve(matrix.collect(), (1..=known).map(at).collect());
        match coefficients.iter().any(|c| *c != 0.0) {
            true => coefficients,
            false => vec![1.0],
        }
    }

    /// Number of gradients that are kept now.
    fn known(&self, memory: &Memory) -> usize {
        (taken(memory) as usize).min(self.history)
    }

    /// The unit gradient of `lag` steps ago.
    fn earlier<'a>(&self, memory: &'a Memory, lag: usize) -> &'a ParamVector {
        let newest = taken(memory) as usize - lag;
        let kept = memory.live(&slot(newest % self.history));
        kept.expect("a gradient that was counted is kept")
    }
}

fn taken(memory: &Memory) -> u64 {
    memory.number(COUNT).unwrap_or(0.0) as u64
}

fn slot(index: usize) -> String {
    format!("gradient {index}")
}

fn correlation(lag: usize) -> String {
    format!("correlation {lag}")
}

fn draw(count: usize, index: u64, site: Site<'_>) -> Vec<f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(site.seed ^ index.wrapping_mul(0x9e37_79b9));
    generator.set_stream(site.step);
    (0..count)
        .map(|_| generator.sample(StandardNormal))
        .collect()
}

/// Gram and Schmidt, each direction twice, which makes up for cancellation; directions that depend
/// on earlier ones are left out.
pub(super) fn orthonormal(directions: Vec<ParamVector>) -> Vec<ParamVector> {
    let mut basis: Vec<ParamVector> = Vec::new();
    for direction in directions {
        let length = direction.norm();
        let mut rest = direction;
        for _ in 0..2 {
            for earlier in &basis {
                let share = rest.dot(earlier);
                rest = rest.plus_scaled(earlier, -share);
            }
        }
        let left = rest.norm();
        if left > 1e-4 * length {
            basis.push(rest.scaled(1.0 / left));
        }
    }
    basis
}

/// Gauss's elimination without pivots, for a symmetric positive definite matrix.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for k in 0..size {
        for i in k + 1..size {
            let factor = matrix[i][k] / matrix[k][k];
            let pivot = matrix[k].clone();
            for (entry, above) in matrix[i].iter_mut().zip(pivot).skip(k) {
                *entry -= factor * above;
            }
            right[i] -= factor * right[k];
        }
    }
    for k in (0..size).rev() {
        let known: f64 = (k + 1..size).map(|j| matrix[k][j] * right[j]).sum();
        right[k] = (right[k] - known) / matrix[k][k];
    }
    match right.iter().all(|c| c.is_finite()) {
        true => right,
        false => vec![0.0; size],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An autoregression of order 1 is forecast by its last value alone.
    #[test]
    fn the_forecast_solves_the_equations() {
        let r = |lag: usize| 0.6f64.powi(lag as i32);
        let matrix = (0..5).map(|i| (0..5).map(|j| r(usize::abs_diff(i, j))).collect());
        let c = solve(matrix.collect(), (1..=5).map(r).collect());
        assert!((c[0] - 0.6).abs() < 1e-12, "{c:?}");
        assert!(c[1..].iter().all(|c| c.abs() < 1e-12), "{c:?}");
    }
}
