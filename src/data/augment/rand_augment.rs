//! RandAugment.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::{Filter, OPERATIONS, Picture};
use crate::data::random::{Generator, happens};
use crate::error::{Error, Result, check};

/// RandAugment (Cubuk et al., arXiv 1909.13719) as timm has it; the default is DeiT's `rand-m9-mstd0.5-inc1`.
///
/// Chooses `operations` of the fifteen of [`OPERATIONS`] with equal odds, one after another and with repetition. Each is
/// skipped with probability `1 − probability`; otherwise its level is `clamp(N(magnitude, deviation²), 0, 10) / 10` and
/// its sign positive or negative with equal odds. The paper has a magnitude without noise, and no skipping.
///
/// | field | default | range |
/// |---|---|---|
/// | `operations` | 2 | 0 to 100 |
/// | `magnitude` | 9 | 0 to 10 |
/// | `deviation` | 0.5 | at least 0 |
/// | `probability` | 0.5 | 0 to 1 |
/// | `filter` | bicubic, DeiT's; timm's is one of both at random | |
/// | `fill` | 128 in all channels | one value, or one per channel |
///
/// timm fills with the mean of the normalisation, `round(255 · mean)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandAugment {
    /// Operations per image.
    pub operations: usize,
    /// Mean of the level, times 10.
    pub magnitude: f64,
    /// Standard deviation of the level, times 10.
    pub deviation: f64,
    /// Probability with which each chosen operation is carried out.
    pub probability: f64,
    /// How operations that move pixels interpolate.
    pub filter: Filter,
    /// What they show where they uncover the outside.
    pub fill: Vec<u8>,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self {
            operations: 2,
            magnitude: 9.0,
            deviation: 0.5,
            probability: 0.5,
            filter: Filter::Bicubic,
            fill: vec![128],
        }
    }
}

impl RandAugment {
    pub(super) fn apply(&self, mut picture: Picture, generator: &mut Generator) -> Picture {
        for _ in 0..self.operations {
            let operation = OPERATIONS[generator.random_range(0..OPERATIONS.len())];
            if !happens(generator, self.probability) {
                continue;
            }
            let noise: f64 = StandardNormal.sample(generator);
            let magnitude = (self.magnitude + self.deviation * noise).clamp(0.0, 10.0);
            let sign = if happens(generator, 0.5) { -1.0 } else { 1.0 };
            let operation = operation(magnitude / 10.0, sign);
            picture = operation.apply(&picture, self.filter, &self.fill);
        }
        picture
    }

    pub(super) fn validate(&self, channels: usize) -> Result<()> {
        let from_0_to = |limit, value| (0.0..=limit).contains(&value);
        let operations = self.operations as f64;
        check(
            "rand_augment.operations",
            operations,
            from_0_to(100.0, operations),
            "0 to 100",
        )?;
        let magnitude = self.magnitude;
        check(
            "rand_augment.magnitude",
            magnitude,
            from_0_to(10.0, magnitude),
            "0 to 10",
        )?;
        check(
            "rand_augment.deviation",
            self.deviation,
            self.deviation >= 0.0,
            "at least 0",
        )?;
        let probability = self.probability;
        check(
            "rand_augment.probability",
            probability,
            from_0_to(1.0, probability),
            "0 to 1",
        )?;
        match self.fill.len() == 1 || self.fill.len() == channels {
            true => Ok(()),
            false => Err(Error::Config {
                field: "rand_augment.fill",
                value: format!("{} values for {channels} channels", self.fill.len()),
                valid: "one value, or one per channel",
            }),
        }
    }
}
