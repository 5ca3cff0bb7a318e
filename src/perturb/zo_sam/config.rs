//! Settings of ZO-SAM.

use serde::{Deserialize, Serialize};

use super::Directions;
use crate::error::{Result, check};
use crate::perturb::Scope;
use crate::perturb::setters::{not_negative, setters};
use crate::tree::DirectionDistribution;

/// How far from `θ` the loss is probed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delta {
    /// The paper's `δ`: probes at `θ ± δ u`. The distance grows with `‖u‖ ≈ √d`; in f32 it should
    /// end up between 1e-3 and 0.15, below which rounding and above which curvature hides the sign.
    Absolute(f64),
    /// A share of the radius: `δ‖u‖ = share · ρ`. At 1, the default, probes are at the distance at
    /// which the gradient will be measured, whatever the size of the model.
    Relative(f64),
}

/// Which differences estimate the directional derivative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// `(L(θ + δu) − L(θ − δu)) / 2δ`: 2m forwards.
    #[default]
    Two,
    /// `(L(θ + δu) − L(θ)) / δ`: m + 1 forwards, with an error of first order in `δ`.
    One,
}

/// Which probes keep their graph, where one of them is the point to be differentiated (m = 1,
/// two-sided, `δ‖u‖ = ρ`).
///
/// All three give the same `ε` and the same update; they trade activations for forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroOrderMemory {
    /// Both: 2 forwards a step, activations of two passes alive at once.
    #[default]
    Both,
    /// The second: 2.5 forwards a step on average, activations of one pass.
    Last,
    /// None, the plain path: 3 forwards a step, activations of one pass.
    None,
}

/// ZO-SAM: the ascent along a random estimate of the gradient, `ĝ = (1/m) Σᵢ Δᵢ uᵢ`,
/// `ε = ρ ĝ/‖ĝ‖`.
///
/// `Δᵢ` is the difference quotient of the loss along the random direction `uᵢ`, measured on the
/// same batch, with the same dropout draws and with batch statistics. Directions are projected onto
/// the live weights first: `ρ` is a radius in the live subspace and dead weights stay exactly zero.
/// Memory for the directions does not grow with m: each is drawn from its key, used and dropped.
///
/// For m = 1 only the sign of `Δ` survives the normalisation, so `ε = ±ρ u/‖u‖`; where the probes
/// are at distance `ρ` the one with the larger loss is the perturbed point, and its forward pass is
/// the one that is differentiated.
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.05 | finite, ≥ 0 |
/// | `directions` (the paper's m) | 1 | ≥ 1, or 0 with guided directions |
/// | `distribution` | Gaussian | |
/// | `sides` | two | |
/// | `delta` | relative, 1 | finite, > 0 |
/// | `scope` | all trainable parameters | |
/// | `memory` | both graphs | |
/// | `family` | isotropic | |
/// | `fraction` | 1 | greater than 0, ≤ 1 |
/// | `reuse` | 1 | ≥ 1 |
///
/// The paper states neither `δ` nor `ρ`; the defaults are SAM's radius and probes at that radius.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::optim::{SgdConfig, momentum::MomentumConfig};
/// use zosam::ZoSamConfig;
/// let momentum = MomentumConfig::new().with_dampening(0.0);
/// let sgd = SgdConfig::new().with_momentum(Some(momentum)).build();
/// let optim = ZoSamConfig::new().with_rho(0.05).init(sgd).unwrap();
/// # }
/// ```
///
/// Ji et al., "ZO-SAM: Zero-Order Sharpness-Aware Minimization for Efficient Sparse Training", 2026
/// (arXiv 2603.13115). Masking the directions, probing at the radius and the shared forward pass
/// are this crate's choices; the paper is silent on the first two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ZoSamConfig {
    /// Radius `ρ` of the perturbation.
    pub rho: f64,
    /// Number m of random directions.
    pub directions: usize,
    /// Distribution of the random directions.
    pub distribution: DirectionDistribution,
    /// Two-sided or one-sided differences.
    pub sides: Sides,
    /// Distance of the probes.
    pub delta: Delta,
    /// Which parameters are perturbed.
    pub scope: Scope,
    /// Which probes keep their graph.
    pub memory: ZeroOrderMemory,
    /// Where directions come from.
    pub family: Directions,
    /// Share of the batch that probes look at.
    pub fraction: f64,
    /// Perturbed steps that a direction serves.
    pub reuse: u64,
}

impl Default for ZoSamConfig {
    fn default() -> Self {
        Self {
            rho: 0.05,
            directions: 1,
            distribution: DirectionDistribution::Gaussian,
            sides: Sides::Two,
            delta: Delta::Relative(1.0),
            scope: Scope::AllTrainable,
            memory: ZeroOrderMemory::Both,
            family: Directions::Isotropic,
            fraction: 1.0,
            reuse: 1,
        }
    }
}

setters!(ZoSamConfig {
    /// Sets the radius `ρ`.
    with_rho(rho: f64),
    /// Sets the number m of random directions.
    with_directions(directions: usize),
    /// Sets the distribution of the directions.
    with_distribution(distribution: DirectionDistribution),
    /// Sets which differences are taken.
    with_sides(sides: Sides),
    /// Sets the distance of the probes.
    with_delta(delta: Delta),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
    /// Sets which probes keep their graph.
    with_memory(memory: ZeroOrderMemory),
    /// Sets where directions come from.
    with_family(family: Directions),
    /// Sets the share of the batch that probes look at; below 1 the step's loss has to be
    /// [`Samples`](crate::objective::Samples).
    with_fraction(fraction: f64),
    /// Sets the number of perturbed steps that a direction serves: it is looked for at each k-th of
    /// them, and follows changes of masks.
    with_reuse(reuse: u64),
});

impl ZoSamConfig {
    /// Checks every field.
    pub(super) fn check(&self) -> Result<()> {
        not_negative("rho", self.rho)?;
        check(
            "directions",
            self.directions as f64,
            self.directions >= 1 || matches!(self.family, Directions::Guided(_)),
            "at least 1, or 0 with guided directions",
        )?;
        if let Directions::Guided(guide) = &self.family {
            guide.check()?;
        }
        let share = self.fraction > 0.0 && self.fraction <= 1.0;
        check(
            "fraction",
            self.fraction,
            share,
            "greater than 0 and at most 1",
        )?;
        check("reuse", self.reuse as f64, self.reuse >= 1, "at least 1")?;
        let (Delta::Absolute(delta) | Delta::Relative(delta)) = self.delta;
        check("delta", delta, delta > 0.0, "finite and greater than 0")
    }

    /// Whether the winning probe is the perturbed point itself.
    pub(super) fn probes_are_candidates(&self) -> bool {
        let one = match self.family {
            Directions::Isotropic | Directions::Orthogonal | Directions::Guided(_) => 1,
            Directions::Blocks | Directions::Coordinates(_) => 0,
        };
        self.directions == one
            && self.fraction == 1.0
            && self.sides == Sides::Two
            && self.delta == Delta::Relative(1.0)
            && self.memory != ZeroOrderMemory::None
    }
}
