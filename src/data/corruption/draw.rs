//! What corruptions draw: addressed by what it is for, so nothing depends on who draws first.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

use super::{Corruption, blur, noise, plasma};
use crate::data::random::{Purpose, generator};

/// Number of random numbers that a corruption takes.
pub(super) fn count(corruption: Corruption, shape: [usize; 3], severity: u8) -> usize {
    let [channels, height, width] = shape;
    let pixels = height * width;
    match corruption {
        Corruption::GaussianNoise | Corruption::SpeckleNoise | Corruption::ShotNoise => {
            channels * pixels
        }
        Corruption::ImpulseNoise => 2 * channels * pixels,
        Corruption::GlassBlur => 2 * blur::glass_steps([height, width], usize::from(severity) - 1),
        Corruption::MotionBlur => 1,
        Corruption::Snow => pixels + 1,
        Corruption::Frost | Corruption::Fog => plasma::side([height, width]).pow(2) - 1,
        Corruption::ElasticTransform => 6 + 2 * pixels,
        Corruption::Spatter => pixels,
        _ => 0,
    }
}

/// The random numbers of one image.
pub(super) fn draw(
    corruption: Corruption,
    pixels: &[u8],
    shape: [usize; 3],
    severity: u8,
    seed: u64,
    index: usize,
) -> Vec<f64> {
    let stream = 8 * corruption as u64 + u64::from(severity);
    let random = &mut generator(seed, stream, Purpose::Corruption, index, 0);
    let count = count(corruption, shape, severity);
    match corruption {
        Corruption::GaussianNoise | Corruption::SpeckleNoise | Corruption::Spatter => {
            normal(random, count)
        }
        Corruption::ShotNoise => {
            let photons = noise::SHOT[usize::from(severity) - 1];
            let counts = pixels.iter().map(|pixel| poisson(random, *pixel, photons));
            counts.collect()
        }
        Corruption::GlassBlur => {
            let step = |_| f64::from(random.random_range(-1_i8..1));
            (0..count).map(step).collect()
        }
        Corruption::MotionBlur => vec![random.random_range(-45.0..45.0)],
        Corruption::Snow => {
            let mut numbers = normal(random, count - 1);
            numbers.push(random.random_range(-135.0..-45.0));
            numbers
        }
        Corruption::ImpulseNoise => (0..count).map(|_| random.random()).collect(),
        _ => (0..count).map(|_| random.random_range(-1.0..1.0)).collect(),
    }
}

fn normal(random: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    (0..count).map(|_| StandardNormal.sample(random)).collect()
}

/// The number of photons at a pixel of which white has `photons` on average.
fn poisson(random: &mut ChaCha8Rng, pixel: u8, photons: f64) -> f64 {
    let mean = f64::from(pixel) / 255.0 * photons;
    // A mean of 0 is no distribution, and always 0.
    Poisson::new(mean).map_or(0.0, |distribution| distribution.sample(random))
}
