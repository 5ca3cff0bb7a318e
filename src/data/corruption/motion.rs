//! Motion blur as ImageMagick defines it: half a Gaussian from the pixel onwards, at whole pixels along a line.

const SETTINGS: [(usize, f64); 5] = [(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)];

pub(super) fn blur(pixels: &[u8], shape: [usize; 3], level: usize, degrees: f64) -> Vec<u8> {
    let [_, height, width] = shape;
    let (radius, sigma) = SETTINGS[level];
    let planes = pixels.chunks_exact(height * width);
    let blurred =
        planes.flat_map(|plane| blur_plane(plane, [height, width], radius, sigma, degrees));
    blurred.collect()
}

/// A plane of bytes, moved along an angle that turns clockwise from the right; beyond the edge the last pixel goes on.
pub(super) fn blur_plane(
    plane: &[u8],
    [height, width]: [usize; 2],
    radius: usize,
    sigma: f64,
    degrees: f64,
) -> Vec<u8> {
    let taps = taps(radius, sigma, degrees);
    let pixel = |position: usize| {
        let (row, column) = (position / width, position % width);
        let near = |place: usize, step: isize, side: usize| {
            place.saturating_add_signed(step).min(side - 1)
        };
        let value = |(weight, [down, right]): &(f64, [isize; 2])| {
            let row = near(row, *down, height);
            weight * 257.0 * f64::from(plane[row * width + near(column, *right, width)])
        };
        // ImageMagick rounds to 16 bits, and rounds these down when it writes a PNG file of 8.
        let rounded = (taps.iter().map(value).sum::<f64>() + 0.5) as u32;
        (rounded / 257).min(255) as u8
    };
    (0..plane.len()).map(pixel).collect()
}

/// Weights and places, rows and columns from the pixel.
fn taps(radius: usize, sigma: f64, degrees: f64) -> Vec<(f64, [isize; 2])> {
    let width = 2 * radius + 1;
    let weight = |distance: usize| (-((distance * distance) as f64) / (2.0 * sigma * sigma)).exp();
    let sum: f64 = (0..width).map(weight).sum();
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let length = (width as f64 * sine).hypot(width as f64 * cosine);
    let place = |distance: usize, direction: f64| {
        (distance as f64 * (width as f64 * direction) / length - 0.5).ceil() as isize
    };
    (0..width)
        .map(|distance| {
            let step = [place(distance, sine), place(distance, cosine)];
            (weight(distance) / sum, step)
        })
        .collect()
}
