//! Colours and pixels.

use super::color::{hsv, rgb};
use super::picture::Picture;
use super::reduce::box_resized;

pub(super) fn brightness(picture: Picture, level: usize) -> Vec<u8> {
    let more = [0.05, 0.1, 0.15, 0.2, 0.3][level];
    let brighter = |value: f64| (value + more).clamp(0.0, 1.0);
    let picture = match picture.shape[0] {
        3 => picture.map_colors(|color| {
            let [hue, saturation, value] = hsv(color);
            rgb([hue, saturation, brighter(value)])
        }),
        _ => picture.map(|_, value| brighter(value)),
    };
    picture.into_bytes()
}

pub(super) fn saturate(picture: Picture, level: usize) -> Vec<u8> {
    let (factor, more) = [(0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)][level];
    let picture = match picture.shape[0] {
        3 => picture.map_colors(|color| {
            let [hue, saturation, value] = hsv(color);
            rgb([hue, (saturation * factor + more).clamp(0.0, 1.0), value])
        }),
        _ => picture,
    };
    picture.into_bytes()
}

pub(super) fn contrast(picture: Picture, level: usize) -> Vec<u8> {
    let factor = [0.75, 0.5, 0.4, 0.3, 0.15][level];
    let flatter = picture.map_planes(|plane| {
        let mean = plane.iter().sum::<f64>() / plane.len() as f64;
        let value = |value: &f64| (value - mean) * factor + mean;
        plane.iter().map(value).collect()
    });
    flatter.into_bytes()
}

pub(super) fn pixelate(pixels: &[u8], shape: [usize; 3], level: usize) -> Vec<u8> {
    let factor = [0.95, 0.9, 0.85, 0.75, 0.65][level];
    let [_, height, width] = shape;
    let small = [height, width].map(|side| ((side as f64 * factor) as usize).max(1));
    let planes = pixels.chunks_exact(height * width);
    let coarse = planes.flat_map(|plane| {
        let reduced = box_resized(plane, [height, width], small);
        box_resized(&reduced, small, [height, width])
    });
    coarse.collect()
}
