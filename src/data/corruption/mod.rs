//! The corruptions of CIFAR-10-C, made from clean images.
//!
//! Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", 2019
//! (arXiv 1903.12261); parameters and order of operations are those of `make_cifar_c.py` in their repository.

mod apply;
mod blur;
mod color;
mod digital;
mod distance;
mod draw;
mod edges;
mod elastic;
mod gaussian;
mod interpolate;
mod jpeg;
mod motion;
mod noise;
mod picture;
mod plasma;
mod reduce;
mod spatter;
mod weather;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// One of the 15 corruptions of CIFAR-10-C, or of the 4 extra ones that its authors keep for validation.
///
/// Names, in files, on the command line and in JSON, are those of the data set's files, such as `gaussian_noise`.
/// Severities run from 1 to 5; the parameters below are for severities 1 and 5.
///
/// | group | corruption | what happens to the image `x` in `[0, 1]` |
/// |---|---|---|
/// | noise | `GaussianNoise` | `x + N(0, σ)`, σ 0.04 to 0.10 |
/// | | `ShotNoise` | `Poisson(c x) / c`, c 500 to 50 |
/// | | `ImpulseNoise` | a share of the values, 0.01 to 0.07, becomes 0 or 1 |
/// | | `SpeckleNoise` (extra) | `x + x N(0, σ)`, σ 0.06 to 0.2 |
/// | blur | `DefocusBlur` | a disk of radius 0.3 to 1.5 pixels, its edge smoothed |
/// | | `GlassBlur` | neighbours copied over each other between two Gaussian blurs |
/// | | `MotionBlur` | half a Gaussian, σ 1 to 2.5 pixels, along an angle from −45° to 45° |
/// | | `ZoomBlur` | the mean of the image and its enlargements up to 1.06 to 1.25 |
/// | | `GaussianBlur` (extra) | σ 0.4 to 1 pixel |
/// | weather | `Snow` | paler, with flakes that are enlarged noise in motion |
/// | | `Frost` | a layer of ice, weights 1 and 0.2 to 0.75 and 0.45; **ours is a fractal, not the authors' photographs** |
/// | | `Fog` | a plasma fractal is added, then the range restored |
/// | | `Spatter` (extra) | drops of water (1 to 3) or mud (4 and 5) |
/// | digital | `Brightness` | HSV value + 0.05 to 0.3 |
/// | | `Contrast` | deviations from the channel's mean × 0.75 to 0.15 |
/// | | `ElasticTransform` | a random affine map, then a smooth random displacement |
/// | | `Pixelate` | down to 0.95 to 0.65 of the size and up again, box filter |
/// | | `JpegCompression` | quality 80 to 40; needs the feature `images` |
/// | | `Saturate` (extra) | HSV saturation × 0.3 to 2.5 (+ 0 to 0.2) |
///
/// Lengths are in pixels of 32 × 32 images. Other sizes work with the same lengths (elastic transforms scale with the
/// smaller side), and one channel works as a grey image does, except that saturation has no effect on it.
///
/// ```
/// use zosam::data::Corruption;
/// let grey = vec![128; 3 * 32 * 32];
/// let noisy = Corruption::GaussianNoise.apply(&grey, [3, 32, 32], 5, 0, 0)?;
/// assert_ne!(noisy, grey);
/// assert_eq!("glass_blur".parse(), Ok(Corruption::GlassBlur));
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the table above has them side by side")]
pub enum Corruption {
    GaussianNoise,
    ShotNoise,
    ImpulseNoise,
    DefocusBlur,
    GlassBlur,
    MotionBlur,
    ZoomBlur,
    Snow,
    Frost,
    Fog,
    Brightness,
    Contrast,
    ElasticTransform,
    Pixelate,
    JpegCompression,
    SpeckleNoise,
    GaussianBlur,
    Spatter,
    Saturate,
}

use Corruption::*;

impl Corruption {
    /// The 15 that published means are over.
    pub const BENCHMARK: [Self; 15] = [
        GaussianNoise,
        ShotNoise,
        ImpulseNoise,
        DefocusBlur,
        GlassBlur,
        MotionBlur,
        ZoomBlur,
        Snow,
        Frost,
        Fog,
        Brightness,
        Contrast,
        ElasticTransform,
        Pixelate,
        JpegCompression,
    ];

    /// The 4 extra ones.
    pub const EXTRA: [Self; 4] = [SpeckleNoise, GaussianBlur, Spatter, Saturate];

    /// All 19, those of the benchmark first.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::BENCHMARK.into_iter().chain(Self::EXTRA)
    }

    /// Whether it is one of the 15 that published means are over.
    pub fn is_benchmark(self) -> bool {
        self < SpeckleNoise
    }

    /// Whether [`apply`](Self::apply) draws from the same distribution as the authors' program. Frost does not, because
    /// their photographs of frost are not part of this crate.
    pub fn is_faithful(self) -> bool {
        self != Frost
    }

    /// The name of the data set's file, without `.npy`.
    pub fn name(self) -> &'static str {
        match self {
            GaussianNoise => "gaussian_noise",
            ShotNoise => "shot_noise",
            ImpulseNoise => "impulse_noise",
            DefocusBlur => "defocus_blur",
            GlassBlur => "glass_blur",
            MotionBlur => "motion_blur",
            ZoomBlur => "zoom_blur",
            Snow => "snow",
            Frost => "frost",
            Fog => "fog",
            Brightness => "brightness",
            Contrast => "contrast",
            ElasticTransform => "elastic_transform",
            Pixelate => "pixelate",
            JpegCompression => "jpeg_compression",
            SpeckleNoise => "speckle_noise",
            GaussianBlur => "gaussian_blur",
            Spatter => "spatter",
            Saturate => "saturate",
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Corruption {
    type Err = UnknownCorruption;

    fn from_str(name: &str) -> Result<Self, UnknownCorruption> {
        let found = Self::all().find(|corruption| corruption.name() == name);
        found.ok_or_else(|| UnknownCorruption(name.to_string()))
    }
}

/// A name that is none of a [`Corruption`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a corruption: it must be a file name of CIFAR-10-C without .npy, such as gaussian_noise or fog"
)]
pub struct UnknownCorruption(String);

impl From<UnknownCorruption> for Error {
    fn from(unknown: UnknownCorruption) -> Self {
        Self::Config {
            field: "corruption",
            value: unknown.0,
            valid: "a file name of CIFAR-10-C without .npy, such as gaussian_noise or fog",
        }
    }
}
