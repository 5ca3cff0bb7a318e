//! Convolution with a Gaussian, as scipy's `gaussian_filter`.

use super::interpolate::mirrored;

/// What lies beyond the edge.
#[derive(Clone, Copy)]
pub(super) enum Edge {
    /// The last value goes on (scikit-image's default).
    Nearest,
    /// Mirrored, the last value twice (scipy's `reflect`).
    Mirror,
}

/// A plane `[height, width]`, blurred along columns, then along rows, with a kernel cut off at `truncate` deviations.
pub(super) fn blur(
    plane: &[f64],
    [height, width]: [usize; 2],
    sigma: f64,
    truncate: f64,
    edge: Edge,
) -> Vec<f64> {
    let kernel = half_kernel(sigma, truncate);
    let down = along(plane, [height, width], &kernel, edge, |row, column| {
        row * width + column
    });
    let across = along(&down, [width, height], &kernel, edge, |column, row| {
        row * width + column
    });
    transposed(&across, [width, height])
}

/// Weights at distances 0, 1, …; those at positive distances count twice.
fn half_kernel(sigma: f64, truncate: f64) -> Vec<f64> {
    if sigma <= 1e-15 {
        return vec![1.0];
    }
    let radius = (truncate * sigma + 0.5) as i32;
    let weight = |distance: i32| (-0.5 / (sigma * sigma) * f64::from(distance * distance)).exp();
    let sum: f64 = (-radius..=radius).map(weight).sum();
    (0..=radius)
        .map(|distance| weight(distance) / sum)
        .collect()
}

/// Blurs along the first axis of `[length, others]`; the result has that order.
fn along(
    plane: &[f64],
    [length, others]: [usize; 2],
    kernel: &[f64],
    edge: Edge,
    place: impl Fn(usize, usize) -> usize,
) -> Vec<f64> {
    let inside = |position: isize| match edge {
        Edge::Nearest => position.clamp(0, length as isize - 1) as usize,
        Edge::Mirror => mirrored(position, length),
    };
    let mut result = Vec::with_capacity(plane.len());
    for position in 0..length {
        for other in 0..others {
            let value = |offset: isize| plane[place(inside(position as isize + offset), other)];
            let mut sum = value(0) * kernel[0];
            for (distance, weight) in kernel.iter().enumerate().skip(1).rev() {
                let distance = distance as isize;
                sum += (value(-distance) + value(distance)) * weight;
            }
            result.push(sum);
        }
    }
    result
}

fn transposed(plane: &[f64], [height, width]: [usize; 2]) -> Vec<f64> {
    let column = |column: usize| (0..height).map(move |row| plane[row * width + column]);
    (0..width).flat_map(column).collect()
}
