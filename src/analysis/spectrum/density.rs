//! The density of eigenvalues by stochastic Lanczos quadrature.

use serde::{Deserialize, Serialize};

use super::lanczos::Krylov;

/// How the eigenvalues of a matrix are distributed: for each probe the nodes and weights of a
/// quadrature, `∫ f dφ ≈ Σᵢ τᵢ² f(λᵢ)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SpectralDensity {
    /// `(λᵢ, τᵢ²)` by probe; the weights of a probe add up to 1.
    pub probes: Vec<Vec<(f64, f64)>>,
}

impl SpectralDensity {
    pub(super) fn of(seen: &[Krylov]) -> Self {
        let nodes = |seen: &Krylov| {
            let pairs = seen.ritz.iter();
            pairs
                .map(|pair| (pair.value, pair.first * pair.first))
                .collect()
        };
        Self {
            probes: seen.iter().map(nodes).collect(),
        }
    }

    /// The density at some points, per unit of `λ`, smoothed by a Gaussian of standard deviation
    /// `width`: for each probe in turn. Their spread is the band of a picture.
    pub fn at(&self, points: &[f64], width: f64) -> Vec<Vec<f64>> {
        let peak = 1.0 / (width * std::f64::consts::TAU.sqrt());
        let bump = |distance: f64| peak * (-0.5 * (distance / width).powi(2)).exp();
        let one = |nodes: &Vec<(f64, f64)>, point: f64| -> f64 {
            let terms = nodes
                .iter()
                .map(|(value, weight)| weight * bump(point - value));
            terms.sum()
        };
        let probes = self.probes.iter();
        probes
            .map(|nodes| points.iter().map(|point| one(nodes, *point)).collect())
            .collect()
    }
}
