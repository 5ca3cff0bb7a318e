//! Affine maps, as PIL's `Image.transform(size, AFFINE)`.

use super::{Filter, Picture};

/// The image whose pixel with its centre at (x, y) is taken from (a x + b y + c, d x + e y + f) of the given one,
/// or is `fill` where that lies outside. `fill` has a value per channel; the last one serves all further channels.
pub(super) fn affine(picture: &Picture, matrix: [f64; 6], filter: Filter, fill: &[u8]) -> Picture {
    let [_, height, width] = picture.shape();
    let [a, b, c, d, e, f] = matrix;
    picture.by_plane([height, width], |channel, plane, output| {
        let fill = fill.get(channel).or(fill.last()).copied().unwrap_or(128);
        for row in 0..height {
            let y = row as f64 + 0.5;
            output.extend((0..width).map(|column| {
                let x = column as f64 + 0.5;
                let from = [a * x + b * y + c, d * x + e * y + f];
                sample(plane, [width, height], from, filter).unwrap_or(fill)
            }));
        }
    })
}

/// The value at a place, or `None` outside the image; neighbours beyond the border are those on it.
fn sample(
    plane: &[u8],
    [width, height]: [usize; 2],
    [x, y]: [f64; 2],
    filter: Filter,
) -> Option<u8> {
    let inside = |at: f64, size: usize| (0.0..size as f64).contains(&at);
    if !inside(x, width) || !inside(y, height) {
        return None;
    }
    let (x, y) = (x - 0.5, y - 0.5);
    let (column, row) = (x.floor(), y.floor());
    let (right, down) = (x - column, y - row);
    let pixel = |rows: isize, columns: isize| {
        let clip = |at: isize, size: usize| at.clamp(0, size as isize - 1) as usize;
        let row = clip(row as isize + rows, height);
        f64::from(plane[row * width + clip(column as isize + columns, width)])
    };
    let value = match filter {
        Filter::Bilinear => {
            let line = |rows| linear([pixel(rows, 0), pixel(rows, 1)], right);
            linear([line(0), line(1)], down)
        }
        Filter::Bicubic => {
            let line = |rows| cubic([-1, 0, 1, 2].map(|columns| pixel(rows, columns)), right);
            cubic([-1, 0, 1, 2].map(line), down)
        }
    };
    // Cut off to 0 … 255, fractions dropped.
    Some(value as u8)
}

fn linear([a, b]: [f64; 2], position: f64) -> f64 {
    a + (b - a) * position
}

/// Cubic convolution with a = −1, in the order of PIL's sums.
fn cubic([a, b, c, d]: [f64; 4], position: f64) -> f64 {
    let square = 2.0 * (a - b) + c - d;
    let cube = -a + b - c + d;
    b + position * (-a + c + position * (square + position * cube))
}

/// Counter-clockwise rotation around the centre, in degrees.
pub(super) fn rotation(degrees: f64, [width, height]: [usize; 2]) -> [f64; 6] {
    let angle = -degrees.rem_euclid(360.0).to_radians();
    // PIL rounds to 15 decimals, which makes quarter turns exact.
    let round = |value: f64| (value * 1e15).round_ties_even() / 1e15;
    let (sine, cosine) = (round(angle.sin()), round(angle.cos()));
    let (x, y) = (width as f64 / 2.0, height as f64 / 2.0);
    [
        cosine,
        sine,
        cosine * -x + sine * -y + x,
        -sine,
        cosine,
        -sine * -x + cosine * -y + y,
    ]
}
