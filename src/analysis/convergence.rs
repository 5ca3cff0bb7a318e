//! How soon a run gets to an accuracy.

use serde::{Deserialize, Serialize};

use super::Estimated;

/// What a run had reached at some moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// `(position, accuracy)`, positions ascending: epochs, steps or seconds.
    pub points: Vec<(f64, f64)>,
}

impl Curve {
    /// Where the accuracy first reaches a target, interpolated on the line between two points; `None` if
    /// it never does.
    ///
    /// ```
    /// use zosam::analysis::Curve;
    /// let curve = Curve { points: vec![(1.0, 0.2), (2.0, 0.6), (3.0, 0.5), (4.0, 0.8)] };
    /// assert_eq!(curve.first_reaches(0.5), Some(1.75));
    /// assert_eq!(curve.first_reaches(0.9), None);
    /// assert_eq!(curve.best(), Some(0.8));
    /// ```
    pub fn first_reaches(&self, target: f64) -> Option<f64> {
        let reached = self
            .points
            .iter()
            .position(|(_, accuracy)| *accuracy >= target)?;
        let (end, high) = self.points[reached];
        let Some((start, low)) = reached.checked_sub(1).map(|before| self.points[before]) else {
            return Some(end);
        };
        Some(start + (end - start) * (target - low) / (high - low))
    }

    /// The largest accuracy; `None` without a point.
    pub fn best(&self) -> Option<f64> {
        self.points
            .iter()
            .map(|(_, accuracy)| *accuracy)
            .reduce(f64::max)
    }

    /// Where the accuracy first reaches a share of the run's own best, 0.95 say.
    pub fn first_reaches_share(&self, share: f64) -> Option<f64> {
        self.first_reaches(share * self.best()?)
    }
}

/// Where runs with several seeds reach a target: mean and standard error of those that do, and how many
/// do.
pub fn reached(curves: &[Curve], target: f64) -> (Option<Estimated>, usize) {
    let places = curves
        .iter()
        .filter_map(|curve| curve.first_reaches(target));
    let places: Vec<f64> = places.collect();
    let estimated = (!places.is_empty()).then(|| Estimated::of(&places));
    (estimated, places.len())
}
