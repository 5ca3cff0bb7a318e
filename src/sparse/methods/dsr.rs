//! DSR: dynamic sparse reparameterization.

use serde::{Deserialize, Serialize};

use super::setters::{schedule_setters, share};
use crate::error::{Error, Result, check};
use crate::sparse::parts::{
    Budget, Decay, Distribution, Draw, Exchange, Parts, Recipe, Redistribution, UpdateSchedule,
};

/// Drops all weights below one threshold and grows as many at random, in layers that kept many.
///
/// The threshold adapts after each change: it doubles where less than 0.9 of the share aimed at was
/// dropped and halves where more than 1.1 of it was.
///
/// | field | default | range |
/// |---|---|---|
/// | `sparsity` | | [0, 1) |
/// | `distribution` (at the start) | uniform | |
/// | `schedule` | a hundred changes in 95 % of training by [`over`](Self::over), else to be given | its fraction is not used |
/// | `share` | 0.1 of the live weights per change | (0, 0.5] |
/// | `threshold` (at the start) | 0.001 | > 0, finite |
///
/// Mostafa & Wang, "Parameter Efficient Training of Deep Convolutional Neural Networks by Dynamic
/// Sparse Reparameterization", ICML 2019 (arXiv 1902.05967). The authors aim at a number of
/// weights: 20,000 of the 147,000 that their WRN-28-2 has live at 90 %, hence the default. They
/// keep the first convolution, the 1×1 shortcuts and the classifier dense; choose the others with
/// [`with_group`](crate::Sparsity::with_group). As in their code a weight just dropped does not
/// come back in the same change. Not in their code: no layer loses more than half of its weights at
/// once, or more than it has dead ones; and the threshold stays in [1e-8, 1].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dsr {
    /// Share of dead weights.
    pub sparsity: f64,
    /// Density of each layer at the start.
    pub distribution: Distribution,
    /// When masks change.
    pub schedule: UpdateSchedule,
    /// Share of the live weights to drop in a change.
    pub share: f64,
    /// The first threshold.
    pub threshold: f64,
    /// The threshold as adapted; none before the first change.
    #[serde(skip)]
    adapted: Option<f64>,
}

impl Dsr {
    /// DSR; say by [`over`](Self::over) how long training is, or by [`every`](Self::every) and
    /// [`until`](Self::until) when masks change.
    pub fn new(sparsity: f64) -> Self {
        Self {
            sparsity,
            distribution: Distribution::Uniform,
            schedule: UpdateSchedule::every(0)
                .with_fraction(0.0)
                .with_decay(Decay::Constant),
            share: 0.1,
            threshold: 1e-3,
            adapted: None,
        }
    }

    /// Freezes masks after 95 % of so many training steps, and changes them at every hundredth part
    /// of training if no interval is [given](Self::every).
    pub fn over(mut self, steps: u64) -> Self {
        let end = share(steps, 19, 20);
        self.schedule = self.schedule.filled((steps / 100).max(1), end);
        self
    }

    /// Sets the distribution over layers at the start.
    pub fn with_distribution(mut self, distribution: Distribution) -> Self {
        self.distribution = distribution;
        self
    }

    /// Sets the share of the live weights to drop in a change.
    pub fn with_share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// Sets the first threshold.
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// The threshold that the next change uses.
    pub fn current_threshold(&self) -> f64 {
        self.adapted.unwrap_or(self.threshold)
    }
}

schedule_setters!(Dsr);

impl Recipe for Dsr {
    fn parts(&self, draw: Draw) -> Parts {
        Parts {
            budget: Budget::PerLayer(self.distribution),
            exchange: Exchange::Below(self.current_threshold()),
            regrow_dropped: false,
            redistribution: Redistribution::BySurvivors,
            ..Parts::new("dsr", self.sparsity, self.schedule.clone(), draw)
        }
    }

    fn check(&self) -> Result<()> {
        let valid = self.share > 0.0 && self.share <= 0.5;
        check("share", self.share, valid, "greater than 0, at most 0.5")?;
        let valid = self.threshold.is_finite() && self.threshold > 0.0;
        check(
            "threshold",
            self.threshold,
            valid,
            "finite and greater than 0",
        )
    }

    fn adapt(&mut self, dropped: usize, live: usize) {
        let (dropped, goal) = (dropped as f64, self.share * live as f64);
        let factor = match dropped {
            few if few < 0.9 * goal => 2.0,
            many if many > 1.1 * goal => 0.5,
            _ => 1.0,
        };
        self.adapted = Some((self.current_threshold() * factor).clamp(1e-8, 1.0));
    }

    fn learnt(&self) -> serde_json::Value {
        self.adapted.into()
    }

    fn load_learnt(&mut self, learnt: serde_json::Value) -> Result<()> {
        self.adapted = serde_json::from_value(learnt).map_err(|error| {
            Error::mismatch("the state of DSR", "it is no threshold").caused_by(error)
        })?;
        Ok(())
    }
}
