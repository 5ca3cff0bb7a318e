//! Elastic transform: a random affine map, then a smooth random displacement.

use super::gaussian::{Edge, blur};
use super::interpolate::{bilinear, mirrored, mirrored_once};
use super::picture::{Picture, byte_of_single};

/// Strength and smoothness of the displacement and shift of the corners, as shares of the image's side.
const SETTINGS: [(f64, f64, f64); 5] = [
    (0.0, 0.0, 0.08),
    (0.05, 0.2, 0.07),
    (0.08, 0.06, 0.06),
    (0.1, 0.04, 0.05),
    (0.1, 0.03, 0.03),
];

pub(super) fn elastic(picture: Picture, level: usize, uniform: &[f64]) -> Vec<u8> {
    let ([height, width], side) = (
        picture.size(),
        picture.shape[1].min(picture.shape[2]) as f64,
    );
    let (strength, smoothness, shift) = SETTINGS[level];
    let (corners, fields) = uniform.split_at(6);
    let inverse = affine([height, width], side * shift, corners);
    let field = |uniform: &[f64]| -> Vec<f64> {
        let smooth = blur(
            uniform,
            [height, width],
            side * smoothness,
            3.0,
            Edge::Mirror,
        );
        let lengths = smooth
            .iter()
            .map(|value| f64::from((value * side * strength) as f32));
        lengths.collect()
    };
    let (right, down) = fields.split_at(height * width);
    let (right, down) = (field(right), field(down));
    let mut bytes = Vec::with_capacity(picture.values.len());
    for plane in picture.planes() {
        let warped: Vec<f64> = (0..plane.len())
            .map(|pixel| {
                let place = inverse.place((pixel / width) as f64, (pixel % width) as f64);
                let value = bilinear(plane, [height, width], place, mirrored_once);
                f64::from(value as f32)
            })
            .collect();
        bytes.extend((0..plane.len()).map(|pixel| {
            let row = (pixel / width) as f64 + down[pixel];
            let column = (pixel % width) as f64 + right[pixel];
            let value = bilinear(&warped, [height, width], [row, column], mirrored);
            byte_of_single(value as f32)
        }));
    }
    bytes
}

/// Where a pixel of the warped image comes from.
struct Affine {
    row: [f64; 3],
    column: [f64; 3],
}

impl Affine {
    fn place(&self, row: f64, column: f64) -> [f64; 2] {
        [self.row, self.column].map(|weights| weights[0] * row + weights[1] * column + weights[2])
    }
}

/// The inverse of the map that moves three corners of a square in the middle, each by up to `reach`.
///
/// The square's half side is a third of the image's smaller side. Numbers come as column and row of each corner.
fn affine([height, width]: [usize; 2], reach: f64, corners: &[f64]) -> Affine {
    let half = (height.min(width) / 3) as f64;
    let (row, column) = ((height / 2) as f64, (width / 2) as f64);
    let old = [
        [column + half, row + half],
        [column + half, row - half],
        [column - half, row - half],
    ];
    let mut new = old;
    for (place, number) in new.iter_mut().flatten().zip(corners) {
        *place = f64::from(*place as f32 + (number * reach) as f32);
    }
    // Relative to the first corner the map is linear; its inverse has the old places for values.
    let side = |corner: usize, axis: usize| new[corner][axis] - new[0][axis];
    let determinant = side(1, 0) * side(2, 1) - side(2, 0) * side(1, 1);
    let weights = |axis: usize| {
        let [first, second] = [1, 2].map(|corner: usize| old[corner][axis] - old[0][axis]);
        let by_column = (first * side(2, 1) - second * side(1, 1)) / determinant;
        let by_row = (second * side(1, 0) - first * side(2, 0)) / determinant;
        let constant = old[0][axis] - by_column * new[0][0] - by_row * new[0][1];
        [by_row, by_column, constant]
    };
    // An image too small for a square, or corners on a line, stay as they are.
    match determinant.abs() > 1e-6 {
        true => Affine {
            row: weights(1),
            column: weights(0),
        },
        false => Affine {
            row: [1.0, 0.0, 0.0],
            column: [0.0, 1.0, 0.0],
        },
    }
}
