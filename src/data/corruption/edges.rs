//! Edges of a plane of bytes, as OpenCV's `Canny` with a 3 × 3 Sobel operator and the sum of absolute slopes.

/// Which pixels lie on an edge: steep ones above `high`, and those above `low` that touch an edge.
pub(super) fn edges(plane: &[u8], [height, width]: [usize; 2], low: i32, high: i32) -> Vec<bool> {
    let slopes = Slopes::new(plane, [height, width]);
    let ridge: Vec<bool> = (0..plane.len())
        .map(|place| slopes.steepness(place) > low && slopes.is_ridge(place / width, place % width))
        .collect();
    let mut edge = vec![false; plane.len()];
    let steep = |place: &usize| ridge[*place] && slopes.steepness(*place) > high;
    let mut open: Vec<usize> = (0..plane.len()).filter(steep).collect();
    while let Some(place) = open.pop() {
        if !ridge[place] || std::mem::replace(&mut edge[place], true) {
            continue;
        }
        let (row, column) = (place / width, place % width);
        for row in row.saturating_sub(1)..(row + 2).min(height) {
            let columns = column.saturating_sub(1)..(column + 2).min(width);
            open.extend(columns.map(|column| row * width + column));
        }
    }
    edge
}

struct Slopes {
    /// Rightwards and downwards.
    slopes: Vec<[i32; 2]>,
    size: [usize; 2],
}

/// The tangent of 22.5°, with 15 bits behind the point.
const TANGENT: i64 = 13573;

impl Slopes {
    fn new(plane: &[u8], [height, width]: [usize; 2]) -> Self {
        let slope = |place: usize| {
            let (row, column) = (place / width, place % width);
            let pixel = |down: isize, right: isize| {
                let row = row.saturating_add_signed(down).min(height - 1);
                let column = column.saturating_add_signed(right).min(width - 1);
                i32::from(plane[row * width + column])
            };
            let side = |right| pixel(-1, right) + 2 * pixel(0, right) + pixel(1, right);
            let level = |down| pixel(down, -1) + 2 * pixel(down, 0) + pixel(down, 1);
            [side(1) - side(-1), level(1) - level(-1)]
        };
        Self {
            slopes: (0..plane.len()).map(slope).collect(),
            size: [height, width],
        }
    }

    fn steepness(&self, place: usize) -> i32 {
        let [right, down] = self.slopes[place];
        right.abs() + down.abs()
    }

    /// Whether a pixel is steeper than its two neighbours across the edge; beyond the plane it is level.
    fn is_ridge(&self, row: usize, column: usize) -> bool {
        let [height, width] = self.size;
        let near = |down: isize, right: isize| {
            let row = row.checked_add_signed(down).filter(|row| *row < height);
            let column = column.checked_add_signed(right);
            match (row, column.filter(|column| *column < width)) {
                (Some(row), Some(column)) => self.steepness(row * width + column),
                _ => 0,
            }
        };
        let here = near(0, 0);
        let [right, down] = self.slopes[row * width + column].map(i64::from);
        let flat = right.abs() * TANGENT;
        if down.abs() << 15 < flat {
            here > near(0, -1) && here >= near(0, 1)
        } else if down.abs() << 15 > flat + (right.abs() << 16) {
            here > near(-1, 0) && here >= near(1, 0)
        } else {
            let slant = if (right < 0) != (down < 0) { -1 } else { 1 };
            here > near(-1, -slant) && here > near(1, slant)
        }
    }
}
