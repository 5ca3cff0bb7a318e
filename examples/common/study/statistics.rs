//! Differences between columns, and whether they may be chance.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::spread::{deviation, mean};

/// A column's advantage over another, in pairs that share all else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    pub pairs: usize,
    pub mean: f64,
    /// Standard error of the mean; `None` of a single pair.
    pub error: Option<f64>,
    /// Two-sided, of Student's t for pairs.
    pub p: Option<f64>,
}

impl Difference {
    /// Of pairs' differences; `None` without one.
    pub fn of(differences: &[f64]) -> Option<Self> {
        let pairs = differences.len();
        if pairs == 0 {
            return None;
        }
        let mean = mean(differences);
        let error = (pairs > 1).then(|| deviation(differences) / (pairs as f64).sqrt());
        let p = error.filter(|error| *error > 0.0).and_then(|error| {
            let student = StudentsT::new(0.0, 1.0, pairs as f64 - 1.0).ok()?;
            Some(2.0 * student.cdf(-(mean / error).abs()))
        });
        Some(Self {
            pairs,
            mean,
            error,
            p,
        })
    }

    /// A plain sentence about what two columns differ in.
    pub fn sentence(&self, what: &str, column: &str, baseline: &str, digits: usize) -> String {
        let Self {
            pairs,
            mean,
            error,
            p,
        } = *self;
        let size = format!("{mean:+.digits$}");
        match (error, p) {
            (Some(error), Some(p)) if p < 0.05 => format!(
                "{column} has another {what} than {baseline}: {size} ± {error:.digits$} (standard error, {pairs} pairs, p = {p:.3})."
            ),
            (Some(error), Some(p)) => format!(
                "{column} and {baseline}: no difference in {what} seen ({size} ± {error:.digits$}, {pairs} pairs, p = {p:.2})."
            ),
            _ => format!("{column} and {baseline}: {what} {size}, too few pairs to tell."),
        }
    }
}
