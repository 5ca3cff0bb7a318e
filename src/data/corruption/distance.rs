//! Distance to the nearest marked pixel, as OpenCV's `distanceTransform` with a 5 × 5 mask.

/// Steps to pixels that come before in reading order, rows and columns, and their lengths in 1/65536 pixel.
const STEPS: [(isize, isize, u64); 8] = [
    (-2, -1, 143_976),
    (-2, 1, 143_976),
    (-1, -2, 143_976),
    (-1, -1, 91_750),
    (-1, 0, 65_536),
    (-1, 1, 91_750),
    (-1, 2, 143_976),
    (0, -1, 65_536),
];

/// More than any distance in an image.
const FAR: u64 = u64::MAX / 2;

/// Distances in pixels; far beyond any if none is marked.
pub(super) fn distances(marked: &[bool], size: [usize; 2]) -> Vec<f32> {
    let start = marked.iter().map(|marked| if *marked { 0 } else { FAR });
    let mut distances: Vec<u64> = start.collect();
    for place in 0..distances.len() {
        relax(&mut distances, size, place, 1);
    }
    for place in (0..distances.len()).rev() {
        relax(&mut distances, size, place, -1);
    }
    let pixels = |distance: u64| (distance as f64 / 65_536.0) as f32;
    distances.into_iter().map(pixels).collect()
}

/// Goes by way of a pixel before, or after for `direction` −1, where that is shorter.
fn relax(distances: &mut [u64], [height, width]: [usize; 2], place: usize, direction: isize) {
    let (row, column) = (place / width, place % width);
    for (down, right, length) in STEPS {
        let row = row.checked_add_signed(direction * down);
        let column = column.checked_add_signed(direction * right);
        if let (Some(row), Some(column)) = (row, column)
            && row < height
            && column < width
        {
            let by_way = distances[row * width + column] + length;
            distances[place] = distances[place].min(by_way);
        }
    }
}
