//! Boxes from a detector's outputs.

use super::average_precision::{Detection, MOST};
use super::bounds::Bounds;
use super::networks::CLASSES;

/// A scene's outputs `[14, side, side]` as at most 100 boxes by falling score.
///
/// A cell counts whose heat is the largest of the 3 × 3 cells around it, of its class; the score is the sigmoid of the logit (Zhou et al. 2019). No box is taken away for
/// overlapping another.
pub fn peaks(output: &[f32], side: usize, stride: usize) -> Vec<Detection> {
    let at =
        |channel: usize, y: usize, x: usize| f64::from(output[(channel * side + y) * side + x]);
    let near = |place: usize| place.saturating_sub(1)..(place + 2).min(side);
    let mut found = Vec::new();
    for class in 0..CLASSES {
        for y in 0..side {
            for x in 0..side {
                let logit = at(class, y, x);
                let mut around = near(y).flat_map(|row| near(x).map(move |column| (row, column)));
                if around.any(|(row, column)| at(class, row, column) > logit) {
                    continue;
                }
                let [width, height, right, below] =
                    [0, 1, 2, 3].map(|number| at(CLASSES + number, y, x));
                let place = [x as f64 + right, y as f64 + below];
                // A size below nothing is nothing.
                let half = [width.max(0.0) / 2.0, height.max(0.0) / 2.0];
                let edge =
                    |axis: usize, sign: f64| stride as f64 * (place[axis] + sign * half[axis]);
                found.push(Detection {
                    class,
                    score: 1.0 / (1.0 + (-logit).exp()),
                    bounds: Bounds {
                        left: edge(0, -1.0),
                        top: edge(1, -1.0),
                        right: edge(0, 1.0),
                        bottom: edge(1, 1.0),
                    },
                });
            }
        }
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(MOST);
    found
}
