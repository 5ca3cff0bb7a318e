//! Drops of water or mud on the lens.

use super::distance::distances;
use super::edges::edges;
use super::gaussian::{Edge, blur};
use super::interpolate::mirrored_once;
use super::picture::{Picture, byte_of_single};

/// Mean and deviation of the noise, its smoothness, the threshold of drops, and their strength (water) or smoothness (mud).
const SETTINGS: [[f64; 5]; 5] = [
    [0.62, 0.1, 0.7, 0.7, 0.5],
    [0.65, 0.1, 0.8, 0.7, 0.5],
    [0.65, 0.3, 1.0, 0.69, 0.5],
    [0.65, 0.1, 0.7, 0.69, 0.6],
    [0.65, 0.1, 0.5, 0.68, 0.6],
];

/// Pale turquoise and brown: red, green and blue.
const WATER: [f32; 3] = [175.0, 238.0, 238.0];
const MUD: [f32; 3] = [63.0, 42.0, 20.0];

pub(super) fn spatter(picture: Picture, level: usize, normal: &[f64]) -> Vec<u8> {
    let [mean, deviation, smoothness, threshold, strength] = SETTINGS[level];
    let size = picture.size();
    let noise: Vec<f64> = normal
        .iter()
        .map(|number| mean + deviation * number)
        .collect();
    let mut liquid = blur(&noise, size, smoothness, 4.0, Edge::Nearest);
    for value in &mut liquid {
        if *value < threshold {
            *value = 0.0;
        }
    }
    let is_mud = level >= 3;
    let (cover, color) = match is_mud {
        true => (mud(&liquid, size, threshold, strength), MUD),
        false => (water(&liquid, size, strength), WATER),
    };
    let color = match picture.shape[0] {
        3 => color,
        _ => [0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]; 3],
    };
    let pixel = |(position, value): (usize, &f64)| {
        let cover = cover[position % cover.len()];
        let drop = cover * (color[position / normal.len()] / 255.0);
        // Water shines on the picture, mud hides it.
        let kept = if is_mud { 1.0 - cover } else { 1.0 };
        byte_of_single(*value as f32 * kept + drop)
    };
    picture.values.iter().enumerate().map(pixel).collect()
}

fn mud(liquid: &[f64], size: [usize; 2], threshold: f64, smoothness: f64) -> Vec<f32> {
    let drops = liquid
        .iter()
        .map(|value| f64::from(u8::from(*value > threshold)));
    let drops: Vec<f64> = drops.collect();
    let smooth = blur(&drops, size, smoothness, 4.0, Edge::Nearest).into_iter();
    smooth
        .map(|value| if value < 0.8 { 0.0 } else { value as f32 })
        .collect()
}

/// Drops that are shaded by the distance from their edges.
fn water(liquid: &[f64], size: [usize; 2], strength: f64) -> Vec<f32> {
    // Above 1 the authors' bytes wrap around, and so do the data set's.
    let byte = |value: &f64| ((value * 255.0) as i64 & 255) as u8;
    let drops: Vec<u8> = liquid.iter().map(byte).collect();
    let mut depth = distances(&edges(&drops, size, 50, 150), size);
    depth.iter_mut().for_each(|depth| *depth = depth.min(20.0));
    let depth = windows(&depth, size, |window| {
        let sum: f64 = window.iter().flatten().map(|value| f64::from(*value)).sum();
        (sum * (1.0 / 9.0)) as f32 as u8
    });
    let relief = windows(&equalized(&depth), size, |window| {
        let weights = [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]];
        let terms = window.iter().flatten().zip(weights.iter().flatten());
        let sum: i32 = terms
            .map(|(value, weight)| i32::from(*value) * weight)
            .sum();
        sum.clamp(0, 255) as u8
    });
    let shade = windows(&relief, size, |window| {
        let sum: u32 = window.iter().flatten().map(|value| u32::from(*value)).sum();
        (sum + 4) / 9
    });
    let wet = drops
        .iter()
        .zip(shade)
        .map(|(drop, shade)| f32::from(*drop) * shade as f32);
    let wet: Vec<f32> = wet.collect();
    let most = wet.iter().copied().fold(0.0, f32::max);
    // Without drops the authors' program divides 0 by 0; the picture then stays as it is.
    let scale = |wet: f32| {
        if most > 0.0 {
            wet / most * strength as f32
        } else {
            0.0
        }
    };
    wet.into_iter().map(scale).collect()
}

/// A function of the 3 × 3 pixels around each pixel.
fn windows<T: Copy, U>(
    plane: &[T],
    [height, width]: [usize; 2],
    function: impl Fn([[T; 3]; 3]) -> U,
) -> Vec<U> {
    let window = |place: usize| {
        let (row, column) = ((place / width) as isize, (place % width) as isize);
        let pixel = |down: isize, right: isize| {
            let row = mirrored_once(row + down, height);
            plane[row * width + mirrored_once(column + right, width)]
        };
        function([-1, 0, 1].map(|down| [-1, 0, 1].map(|right| pixel(down, right))))
    };
    (0..plane.len()).map(window).collect()
}

/// Bytes spread over their range so that each part of it is used alike, as OpenCV's `equalizeHist`.
fn equalized(plane: &[u8]) -> Vec<u8> {
    let mut counts = [0_usize; 256];
    plane
        .iter()
        .for_each(|value| counts[usize::from(*value)] += 1);
    let lowest = counts.iter().position(|count| *count > 0).unwrap_or(0);
    let others = plane.len() - counts[lowest];
    if others == 0 {
        return plane.to_vec();
    }
    let scale = 255.0 / others as f32;
    let mut table = [0_u8; 256];
    let mut sum = 0;
    for value in lowest + 1..256 {
        sum += counts[value];
        table[value] = (sum as f32 * scale).round_ties_even() as u8;
    }
    plane
        .iter()
        .map(|value| table[usize::from(*value)])
        .collect()
}
