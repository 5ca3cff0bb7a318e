//! Snow, frost and fog.

use super::interpolate::enlarged;
use super::motion::blur_plane;
use super::picture::Picture;
use super::plasma;

struct SnowSettings {
    mean: f64,
    deviation: f64,
    zoom: f64,
    threshold: f64,
    radius: usize,
    sigma: f64,
    mix: f64,
}

const fn snow_settings(
    [mean, deviation, zoom, threshold]: [f64; 4],
    radius: usize,
    [sigma, mix]: [f64; 2],
) -> SnowSettings {
    SnowSettings {
        mean,
        deviation,
        zoom,
        threshold,
        radius,
        sigma,
        mix,
    }
}

const SNOW: [SnowSettings; 5] = [
    snow_settings([0.1, 0.2, 1.0, 0.6], 8, [3.0, 0.95]),
    snow_settings([0.1, 0.2, 1.0, 0.5], 10, [4.0, 0.9]),
    snow_settings([0.15, 0.3, 1.75, 0.55], 10, [4.0, 0.9]),
    snow_settings([0.25, 0.3, 2.25, 0.6], 12, [6.0, 0.85]),
    snow_settings([0.3, 0.3, 1.25, 0.65], 14, [12.0, 0.8]),
];

pub(super) fn snow(picture: Picture, level: usize, draw: &[f64]) -> Vec<u8> {
    let settings = &SNOW[level];
    let (size, pixels) = (picture.size(), draw.len() - 1);
    let (normal, degrees) = (&draw[..pixels], draw[pixels]);
    let noise = normal
        .iter()
        .map(|number| settings.mean + settings.deviation * number);
    let noise: Vec<f64> = noise.collect();
    let flakes = enlarged(&noise, size, settings.zoom)
        .into_iter()
        .map(|value| {
            let value = if value < settings.threshold {
                0.0
            } else {
                value
            };
            (value.clamp(0.0, 1.0) * 255.0) as u8
        });
    let flakes: Vec<u8> = flakes.collect();
    let flakes = blur_plane(&flakes, size, settings.radius, settings.sigma, degrees);
    // The picture is in single precision, the flakes are not, as in the authors' program.
    let (mix, rest) = (settings.mix as f32, (1.0 - settings.mix) as f32);
    let grey = picture.grey();
    let layer = |pixel: usize| f64::from(flakes[pixel]) / 255.0;
    picture
        .map(|position, value| {
            let (pixel, value) = (position % pixels, value as f32);
            let pale = value.max(grey[pixel] as f32 * 1.5 + 0.5);
            f64::from(mix * value + rest * pale) + layer(pixel) + layer(pixels - 1 - pixel)
        })
        .into_bytes()
}

pub(super) fn fog(picture: Picture, level: usize, uniform: &[f64]) -> Vec<u8> {
    let (strength, decay) = [(0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)][level];
    let fog = cover(&picture, decay, uniform);
    let brightest = picture.values.iter().copied().fold(0.0, f64::max);
    picture
        .map(|position, value| {
            (value + strength * fog[position % fog.len()]) * brightest / (brightest + strength)
        })
        .into_bytes()
}

/// In place of the authors' photographs: a rough plasma, a little blue.
pub(super) fn frost(picture: Picture, level: usize, uniform: &[f64]) -> Vec<u8> {
    let (image, ice) = [
        (1.0, 0.2),
        (1.0, 0.3),
        (0.9, 0.4),
        (0.85, 0.4),
        (0.75, 0.45),
    ][level];
    let layer = cover(&picture, ROUGH, uniform);
    let tint = if picture.shape[0] == 3 { ICE } else { [1.0; 3] };
    picture
        .map(|position, value| {
            let (channel, pixel) = (position / layer.len(), position % layer.len());
            image * value + ice * tint[channel] * layer[pixel]
        })
        .into_bytes()
}

/// Neighbouring pixels of the ice differ.
const ROUGH: f64 = 1.5;
/// Red, green and blue of ice.
const ICE: [f64; 3] = [0.85, 0.93, 1.0];

/// A plasma as large as the picture.
fn cover(picture: &Picture, decay: f64, uniform: &[f64]) -> Vec<f64> {
    let [height, width] = picture.size();
    let side = plasma::side([height, width]);
    let map = plasma::plasma(side, decay, uniform);
    let rows = map.chunks_exact(side).take(height);
    rows.flat_map(|row| &row[..width]).copied().collect()
}
