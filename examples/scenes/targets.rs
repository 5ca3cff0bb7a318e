//! What a detector's outputs should be.

use super::networks::CLASSES;
use super::scene::{Item, SIDE};

/// Channels of a cell: heat of each class, width and height, offsets, and whether a centre is here.
pub const CHANNELS: usize = CLASSES + 5;
/// Overlap that two boxes keep if corners move by a radius.
const OVERLAP: f64 = 0.7;

/// A scene's targets `[15, 64 / stride, 64 / stride]`, sizes and offsets in cells.
///
/// The heat of a class is 1 at its items' centres and falls off as `exp(−d² / 2σ²)` within a radius `r`, `σ = (2r + 1) / 6`; where two are near the larger counts. The radius is
/// that of CornerNet (Law and Deng, ECCV 2018), as whole cells. Of two centres in a cell the upper item's size is learnt.
pub fn targets(items: &[Item], stride: usize) -> Vec<f32> {
    let side = SIDE / stride;
    let mut targets = vec![0.0_f32; CHANNELS * side * side];
    for item in items {
        let [width, height] =
            [item.bounds.width(), item.bounds.height()].map(|size| size / stride as f64);
        let centre = item.bounds.centre().map(|place| place / stride as f64);
        let cell = centre.map(|place| place as usize);
        let reach = radius(width, height) as usize;
        let deviation = (2 * reach + 1) as f64 / 6.0;
        let around =
            |axis: usize| cell[axis].saturating_sub(reach)..(cell[axis] + reach + 1).min(side);
        for y in around(1) {
            for x in around(0) {
                let squares =
                    [(x, cell[0]), (y, cell[1])].map(|(at, centre)| at.abs_diff(centre).pow(2));
                let distance = (squares[0] + squares[1]) as f64;
                let heat = (-distance / (2.0 * deviation * deviation)).exp() as f32;
                let here = &mut targets[(item.class * side + y) * side + x];
                *here = here.max(heat);
            }
        }
        let offsets = [0, 1].map(|axis| centre[axis] - cell[axis] as f64);
        let values = [width, height, offsets[0], offsets[1], 1.0];
        for (number, value) in values.into_iter().enumerate() {
            targets[((CLASSES + number) * side + cell[1]) * side + cell[0]] = value as f32;
        }
    }
    targets
}

/// How far both corners of a box may move without its overlap with what it was falling below 0.7.
///
/// The least of three cases: both corners move alike, both inwards, both outwards; each is the root of a quadratic equation in the radius.
pub fn radius(width: f64, height: f64) -> f64 {
    let (sum, area) = (width + height, width * height);
    let root = |a: f64, b: f64, c: f64| (b * b - 4.0 * a * c).sqrt();
    let moved = (sum - root(1.0, sum, area * (1.0 - OVERLAP) / (1.0 + OVERLAP))) / 2.0;
    let smaller = (2.0 * sum - root(4.0, 2.0 * sum, area * (1.0 - OVERLAP))) / 8.0;
    let scaled = 2.0 * OVERLAP * sum;
    let larger = (root(4.0 * OVERLAP, scaled, area * (OVERLAP - 1.0)) - scaled) / (8.0 * OVERLAP);
    moved.min(smaller).min(larger)
}
