//! By what weights are ranked.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::selection::generator;
use crate::error::{Error, Result};
use crate::sparse::evidence::Need;
use crate::sparse::weight::Weight;

/// A number for each position of a weight; larger means more worth keeping, or growing.
pub trait Score: std::fmt::Debug + Send + Sync {
    /// What is scored, for error messages.
    fn name(&self) -> &'static str;

    /// The scores, one per position, dead ones included.
    fn score(&self, weight: &Weight) -> Vec<f32>;

    /// What is to be in [`Weight::gradient`] when weights are scored. Default: the gradient.
    fn need(&self) -> Need {
        Need::Gradient
    }

    /// The scores, checked to be numbers.
    ///
    /// # Errors
    ///
    /// [`Error::NotANumber`] if one is NaN.
    fn checked(&self, weight: &Weight) -> Result<Vec<f32>> {
        let scores = self.score(weight);
        assert_eq!(scores.len(), weight.len(), "one score per position");
        match scores.iter().filter(|score| score.is_nan()).count() {
            0 => Ok(scores),
            count => Err(Error::NotANumber {
                score: self.name(),
                path: weight.path.clone(),
                count,
                total: weight.len(),
            }),
        }
    }
}

/// `|w|`.
#[derive(Debug, Clone, Copy)]
pub struct Magnitude;

impl Score for Magnitude {
    fn name(&self) -> &'static str {
        "magnitude"
    }

    fn need(&self) -> Need {
        Need::Nothing
    }

    fn score(&self, weight: &Weight) -> Vec<f32> {
        weight.values.iter().map(|value| value.abs()).collect()
    }
}

/// The share of the live weights of the same sign that are no larger: dropping the lowest drops the
/// same share of positive and of negative weights.
#[derive(Debug, Clone, Copy)]
pub struct MagnitudeBySign;

impl Score for MagnitudeBySign {
    fn name(&self) -> &'static str {
        "magnitude by sign"
    }

    fn need(&self) -> Need {
        Need::Nothing
    }

    fn score(&self, weight: &Weight) -> Vec<f32> {
        // NaN stays: `checked` is to find it.
        let mut scores: Vec<f32> = weight.values.iter().map(|value| value * 0.0).collect();
        for negative in [false, true] {
            let of_sign =
                |i: &usize| weight.live[*i] && weight.values[*i].is_sign_negative() == negative;
            let mut order: Vec<usize> = (0..weight.len()).filter(of_sign).collect();
            order.sort_by(|a, b| {
                let (a, b) = (weight.values[*a].abs(), weight.values[*b].abs());
                a.total_cmp(&b)
            });
            let total = order.len() as f32;
            for (rank, position) in order.into_iter().enumerate() {
                scores[position] += (rank + 1) as f32 / total;
            }
        }
        scores
    }
}

/// `|∂L/∂w|`, dead positions included: RigL's growth.
#[derive(Debug, Clone, Copy)]
pub struct GradientMagnitude;

impl Score for GradientMagnitude {
    fn name(&self) -> &'static str {
        "gradient"
    }

    fn score(&self, weight: &Weight) -> Vec<f32> {
        weight.gradient.iter().map(|value| value.abs()).collect()
    }
}

/// `|w · ∂L/∂w|`, the connection sensitivity of SNIP.
#[derive(Debug, Clone, Copy)]
pub struct Saliency;

impl Score for Saliency {
    fn name(&self) -> &'static str {
        "saliency"
    }

    fn score(&self, weight: &Weight) -> Vec<f32> {
        let positions = weight.values.iter().zip(&weight.gradient);
        positions
            .map(|(value, slope)| (value * slope).abs())
            .collect()
    }
}

/// `w · h` with `h = H g`: GraSP keeps its largest, which are the lowest `−w · h`.
#[derive(Debug, Clone, Copy)]
pub struct GradientFlow {
    /// Divisor of the logits.
    pub temperature: f64,
}

impl Score for GradientFlow {
    fn name(&self) -> &'static str {
        "gradient flow"
    }

    fn need(&self) -> Need {
        Need::HessianGradient {
            temperature: self.temperature,
        }
    }

    fn score(&self, weight: &Weight) -> Vec<f32> {
        let positions = weight.values.iter().zip(&weight.gradient);
        positions.map(|(value, product)| value * product).collect()
    }
}

/// `|w| + λ |∂L/∂w|`, the importance of MEST.
#[derive(Debug, Clone, Copy)]
pub struct Importance {
    /// Weight of the gradient.
    pub lambda: f64,
}

impl Score for Importance {
    fn name(&self) -> &'static str {
        "importance"
    }

    fn need(&self) -> Need {
        match self.lambda == 0.0 {
            true => Need::Nothing,
            false => Need::Gradient,
        }
    }

    fn score(&self, weight: &Weight) -> Vec<f32> {
        if self.lambda == 0.0 {
            return Magnitude.score(weight);
        }
        let positions = weight.values.iter().zip(&weight.gradient);
        positions
            .map(|(value, slope)| value.abs() + self.lambda as f32 * slope.abs())
            .collect()
    }
}

/// Uniform random numbers: random pruning, and SET's growth.
#[derive(Debug, Clone, Copy)]
pub struct Random {
    /// The run's seed.
    pub seed: u64,
    /// The step, so that each update draws anew.
    pub step: u64,
}

impl Score for Random {
    fn name(&self) -> &'static str {
        "random score"
    }

    fn need(&self) -> Need {
        Need::Nothing
    }

    fn score(&self, weight: &Weight) -> Vec<f32> {
        let mut generator: ChaCha8Rng = generator(self.seed, self.step, &weight.path);
        (0..weight.len()).map(|_| generator.random()).collect()
    }
}
