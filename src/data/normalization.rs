//! Mean and standard deviation per channel.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, check};

/// Shifts and scales each channel: `(pixel / 255 - mean) / deviation`.
///
/// | field | default | range |
/// |---|---|---|
/// | `mean` | | finite, one per channel |
/// | `deviation` | | above 0, one per channel |
///
/// Pixels are scaled to \[0, 1\] first, so both are in units of full intensity.
/// [`Images::channel_statistics`](super::Images::channel_statistics) measures them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub deviation: Vec<f32>,
}

impl Normalization {
    /// Leaves pixels in \[0, 1\]: mean 0 and deviation 1 for each of `channels`.
    pub fn identity(channels: usize) -> Self {
        Self {
            mean: vec![0.0; channels],
            deviation: vec![1.0; channels],
        }
    }

    /// That of ImageNet's training images, which torchvision's and timm's RGB models expect.
    pub fn imagenet() -> Self {
        Self {
            mean: vec![0.485, 0.456, 0.406],
            deviation: vec![0.229, 0.224, 0.225],
        }
    }

    /// From how often each pixel value occurs in each channel.
    pub(super) fn from_counts(counts: &[[u64; 256]]) -> Self {
        let (mean, deviation) = counts.iter().map(moments).unzip();
        Self { mean, deviation }
    }

    pub(super) fn validate(&self, channels: usize) -> Result<()> {
        for (field, values) in [
            ("normalization.mean", &self.mean),
            ("normalization.deviation", &self.deviation),
        ] {
            if values.len() != channels {
                return Err(Error::Config {
                    field,
                    value: format!("{} values for {channels} channels", values.len()),
                    valid: "one value per channel of the images",
                });
            }
        }
        for &mean in &self.mean {
            check("normalization.mean", mean.into(), true, "finite")?;
        }
        for &deviation in &self.deviation {
            let (value, field) = (deviation.into(), "normalization.deviation");
            check(field, value, deviation > 0.0, "finite and above 0")?;
        }
        Ok(())
    }

    /// The normalised value of each of the 256 pixel values, for each channel: with it, a pixel
    /// costs one look-up. The steps are those of torchvision, each rounded to `f32`.
    pub(super) fn tables(&self) -> Vec<[f32; 256]> {
        let channels = self.mean.iter().zip(&self.deviation);
        channels
            .map(|(mean, deviation)| {
                std::array::from_fn(|pixel| (pixel as f32 / 255.0 - mean) / deviation)
            })
            .collect()
    }
}

/// Mean and standard deviation over pixel / 255; exact counts make the order of the sum irrelevant.
fn moments(counts: &[u64; 256]) -> (f32, f32) {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    let average = |value: &dyn Fn(f64) -> f64| {
        let terms = counts.iter().enumerate();
        let terms = terms.map(|(pixel, count)| value(pixel as f64 / 255.0) * *count as f64);
        terms.sum::<f64>() / total
    };
    let mean = average(&|value| value);
    let deviation = average(&|value| (value - mean).powi(2)).sqrt();
    let is_constant = counts.iter().filter(|count| **count > 0).count() <= 1;
    (
        mean as f32,
        if is_constant { 1.0 } else { deviation as f32 },
    )
}
