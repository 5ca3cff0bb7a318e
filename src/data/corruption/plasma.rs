//! Plasma: a height map by the diamond-square algorithm, periodic.

/// Side of the map that covers an image: the power of 2 that is at least its larger side.
pub(super) fn side([height, width]: [usize; 2]) -> usize {
    height.max(width).next_power_of_two()
}

/// A map `[side, side]` from 0 to 1, from numbers in `[-1, 1)` in the order in which points are set.
///
/// The roughness of each scale is `decay`² times smaller than that of the scale above.
pub(super) fn plasma(side: usize, decay: f64, uniform: &[f64]) -> Vec<f64> {
    let mut map = Map {
        side,
        heights: vec![0.0; side * side],
    };
    let mut uniform = uniform.iter().copied();
    let (mut step, mut roughness) = (side, 100.0_f64);
    while step >= 2 {
        let half = step / 2;
        let mut wobble = || roughness * (roughness * uniform.next().unwrap_or(0.0));
        // The middle of each square, from its corners.
        map.fill(step, [half, half], &mut wobble, |map, row, column| {
            let across = |row| map.at(row, column) + map.at(row, column + step);
            across(row) + across(row + step)
        });
        // The middle of each side, from the two middles and two corners around it.
        map.fill(step, [0, half], &mut wobble, |map, row, column| {
            let middles =
                map.at(row + half, column + half) + map.at(row + side - half, column + half);
            middles + (map.at(row, column) + map.at(row, column + step))
        });
        map.fill(step, [half, 0], &mut wobble, |map, row, column| {
            let middles =
                map.at(row + half, column + half) + map.at(row + half, column + side - half);
            middles + (map.at(row, column) + map.at(row + step, column))
        });
        step = half;
        roughness /= decay;
    }
    normalised(map.heights)
}

struct Map {
    side: usize,
    heights: Vec<f64>,
}

impl Map {
    fn at(&self, row: usize, column: usize) -> f64 {
        self.heights[row % self.side * self.side + column % self.side]
    }

    /// Sets every point at an offset from a grid of squares to the mean of four others and a wobble.
    fn fill(
        &mut self,
        step: usize,
        [down, right]: [usize; 2],
        wobble: &mut impl FnMut() -> f64,
        four: impl Fn(&Self, usize, usize) -> f64,
    ) {
        for row in (0..self.side).step_by(step) {
            for column in (0..self.side).step_by(step) {
                let height = four(self, row, column) / 4.0 + wobble();
                self.heights[(row + down) * self.side + column + right] = height;
            }
        }
    }
}

fn normalised(mut heights: Vec<f64>) -> Vec<f64> {
    let lowest = heights.iter().copied().fold(f64::INFINITY, f64::min);
    heights.iter_mut().for_each(|height| *height -= lowest);
    let highest = heights.iter().copied().fold(0.0, f64::max);
    // A map of one point is flat.
    if highest > 0.0 {
        heights.iter_mut().for_each(|height| *height /= highest);
    }
    heights
}
