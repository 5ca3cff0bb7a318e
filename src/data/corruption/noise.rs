//! Noise.

use super::picture::Picture;

/// Photons of a white pixel.
pub(super) const SHOT: [f64; 5] = [500.0, 250.0, 100.0, 75.0, 50.0];

pub(super) fn gaussian(picture: Picture, level: usize, normal: &[f64]) -> Vec<u8> {
    let deviation = [0.04, 0.06, 0.08, 0.09, 0.10][level];
    picture
        .map(|position, value| value + deviation * normal[position])
        .into_bytes()
}

pub(super) fn speckle(picture: Picture, level: usize, normal: &[f64]) -> Vec<u8> {
    let deviation = [0.06, 0.1, 0.12, 0.16, 0.2][level];
    picture
        .map(|position, value| value + value * (deviation * normal[position]))
        .into_bytes()
}

pub(super) fn shot(picture: Picture, level: usize, counts: &[f64]) -> Vec<u8> {
    picture
        .map(|position, _| counts[position] / SHOT[level])
        .into_bytes()
}

pub(super) fn impulse(picture: Picture, level: usize, uniform: &[f64]) -> Vec<u8> {
    let share = [0.01, 0.02, 0.03, 0.05, 0.07][level];
    let (which, salt) = uniform.split_at(uniform.len() / 2);
    picture
        .map(
            |position, value| match (which[position] <= share, salt[position] <= 0.5) {
                (false, _) => value,
                (true, true) => 1.0,
                (true, false) => 0.0,
            },
        )
        .into_bytes()
}
