//! Linear interpolation between pixels, with the edges of the programs that the authors used.

/// The place in `0..length` that a place beyond the edge mirrors, the last pixel twice (scipy's `reflect`).
pub(super) fn mirrored(position: isize, length: usize) -> usize {
    let length = length as isize;
    let position = position.rem_euclid(2 * length);
    position.min(2 * length - 1 - position) as usize
}

/// The place in `0..length` that a place beyond the edge mirrors, the last pixel once (OpenCV's `REFLECT_101`).
pub(super) fn mirrored_once(position: isize, length: usize) -> usize {
    let period = 2 * (length as isize - 1).max(1);
    let position = position.rem_euclid(period);
    position.min(period - position).min(length as isize - 1) as usize
}

/// The value of a plane `[height, width]` between four pixels; `edge` maps a place and a length into the plane.
pub(super) fn bilinear(
    plane: &[f64],
    [height, width]: [usize; 2],
    [row, column]: [f64; 2],
    edge: fn(isize, usize) -> usize,
) -> f64 {
    // Only draws of the user's own can lead so far out, and there only the range of integers matters.
    let [row, column] = [row, column].map(|place| place.clamp(-1e9, 1e9));
    let (top, left) = (row.floor(), column.floor());
    let (down, right) = (row - top, column - left);
    let pixel = |row_step: isize, column_step: isize| {
        let row = edge(top as isize + row_step, height);
        plane[row * width + edge(left as isize + column_step, width)]
    };
    let upper = pixel(0, 0) * (1.0 - right) + pixel(0, 1) * right;
    let lower = pixel(1, 0) * (1.0 - right) + pixel(1, 1) * right;
    upper * (1.0 - down) + lower * down
}

/// The middle of a plane, enlarged by `factor` to the plane's own size.
///
/// As scipy's `zoom` with linear interpolation: the outermost pixels of the cut-out are those of the enlargement.
pub(super) fn enlarged(plane: &[f64], size: [usize; 2], factor: f64) -> Vec<f64> {
    let [rows, columns] = size.map(|side| sources(side, factor));
    let mut result = Vec::with_capacity(plane.len());
    for row in &rows {
        for column in &columns {
            // Rounding can put the last place beyond the cut-out, where scipy has 0.
            let value = match (row, column) {
                (Some(row), Some(column)) => bilinear(plane, size, [*row, *column], mirrored),
                _ => 0.0,
            };
            result.push(value);
        }
    }
    result
}

/// Where each place of an enlarged side comes from.
fn sources(side: usize, factor: f64) -> Vec<Option<f64>> {
    let cut = ((side as f64 / factor).ceil() as usize).clamp(1, side);
    let first = (side - cut) / 2;
    let large = ((cut as f64 * factor).round_ties_even() as usize).max(side);
    let trim = (large - side) / 2;
    let step = match large {
        1 => 1.0,
        _ => (cut - 1) as f64 / (large - 1) as f64,
    };
    let source = |place: usize| {
        let within = (place + trim) as f64 * step;
        (within <= (cut - 1) as f64).then_some(first as f64 + within)
    };
    (0..side).map(source).collect()
}
