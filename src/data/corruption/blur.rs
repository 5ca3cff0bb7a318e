//! Blur.

use super::gaussian::{Edge, blur};
use super::interpolate::{enlarged, mirrored_once};
use super::picture::{Picture, byte_of_single};

pub(super) fn gaussian(picture: Picture, level: usize) -> Vec<u8> {
    let sigma = [0.4, 0.6, 0.7, 0.8, 1.0][level];
    smooth(&picture, sigma).into_bytes()
}

fn smooth(picture: &Picture, sigma: f64) -> Picture {
    picture.map_planes(|plane| blur(plane, picture.size(), sigma, 4.0, Edge::Nearest))
}

/// Deviation of the Gaussian, and how often pixels move. They move by at most one.
const GLASS: [(f64, usize); 5] = [(0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)];

/// Number of pixels that move.
pub(super) fn glass_steps([height, width]: [usize; 2], level: usize) -> usize {
    GLASS[level].1 * height.saturating_sub(2) * width.saturating_sub(2)
}

/// The authors meant neighbours to change places; their assignment copies, and so the data set does.
pub(super) fn glass(picture: Picture, level: usize, steps: &[f64]) -> Vec<u8> {
    let ([height, width], (sigma, iterations)) = (picture.size(), GLASS[level]);
    let shape = picture.shape;
    let mut pixels = smooth(&picture, sigma).into_bytes();
    let mut steps = steps.chunks_exact(2);
    for _ in 0..iterations {
        for row in (2..height).rev() {
            for (column, step) in (2..width).rev().zip(&mut steps) {
                // Any other number could lead out of the image.
                let [back, up] = [step[0], step[1]].map(|step| usize::from(step < 0.0));
                for plane in pixels.chunks_exact_mut(height * width) {
                    plane[row * width + column] = plane[(row - up) * width + column - back];
                }
            }
        }
    }
    smooth(&Picture::new(&pixels, shape), sigma).into_bytes()
}

pub(super) fn defocus(picture: Picture, level: usize) -> Vec<u8> {
    let (radius, softness) = [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)][level];
    let kernel = disk(radius, softness);
    let [height, width] = picture.size();
    let filtered = picture.map_planes(|plane| {
        let pixel = |position: usize| {
            let (row, column) = (position / width, position % width);
            let near = |place: usize, step: usize, side: usize| {
                mirrored_once(place as isize + step as isize - REACH as isize, side)
            };
            let weights = kernel.iter().enumerate();
            let terms = weights.map(|(index, weight)| {
                let row = near(row, index / SIDE, height);
                weight * plane[row * width + near(column, index % SIDE, width)]
            });
            terms.sum()
        };
        (0..plane.len()).map(pixel).collect()
    });
    filtered.into_bytes()
}

/// A disk of radius 1.5 and a pixel of softening reach two pixels far.
const REACH: usize = 2;
const SIDE: usize = 2 * REACH + 1;

/// Equal weights within the radius, softened by a Gaussian of 3 × 3 pixels, in the single precision of OpenCV.
fn disk(radius: f64, softness: f64) -> [f64; SIDE * SIDE] {
    let side = (-1.0 / (2.0 * softness * softness)).exp();
    let weights = [side, 1.0, side].map(|weight| (weight / (1.0 + 2.0 * side)) as f32);
    let distance = |index: usize| {
        let [row, column] = [index / SIDE, index % SIDE].map(|place| place as f64 - REACH as f64);
        row * row + column * column
    };
    let inside: Vec<bool> = (0..SIDE * SIDE)
        .map(|index| distance(index) <= radius * radius)
        .collect();
    let share = 1.0 / inside.iter().filter(|inside| **inside).count() as f32;
    let mut kernel = [0.0; SIDE * SIDE];
    for (index, weight) in kernel.iter_mut().enumerate() {
        let (row, column) = (index / SIDE, index % SIDE);
        let mut sum = 0.0;
        for (row_step, row_weight) in weights.iter().enumerate() {
            for (column_step, column_weight) in weights.iter().enumerate() {
                let places = [row + row_step, column + column_step];
                if places.iter().any(|place| *place < 1 || *place > SIDE) {
                    continue;
                }
                if inside[(places[0] - 1) * SIDE + places[1] - 1] {
                    sum += share * row_weight * column_weight;
                }
            }
        }
        *weight = f64::from(sum);
    }
    kernel
}

pub(super) fn zoom(picture: Picture, level: usize) -> Vec<u8> {
    let end = [1.06, 1.11, 1.16, 1.21, 1.26][level];
    // numpy's `arange`: this many, at multiples of the first step as rounded.
    let count = f64::ceil((end - 1.0) / 0.01) as usize;
    let step = (1.0 + 0.01) - 1.0;
    let size = picture.size();
    let mut bytes = Vec::with_capacity(picture.values.len());
    for plane in picture.planes() {
        // The authors compute in single precision from here on.
        let plane: Vec<f64> = plane.iter().map(|value| f64::from(*value as f32)).collect();
        let mut sum = vec![0.0_f32; plane.len()];
        for index in 0..count {
            let large = enlarged(&plane, size, 1.0 + index as f64 * step);
            for (sum, value) in sum.iter_mut().zip(large) {
                *sum += value as f32;
            }
        }
        let mean = |(value, sum): (&f64, f32)| (*value as f32 + sum) / (count + 1) as f32;
        bytes.extend(plane.iter().zip(sum).map(mean).map(byte_of_single));
    }
    bytes
}
