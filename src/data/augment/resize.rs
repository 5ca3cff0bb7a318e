//! Resizing, as PIL's `Image.resize`.

use serde::{Deserialize, Serialize};

use super::Picture;

/// How values between pixels are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Filter {
    /// From 2 × 2 pixels.
    Bilinear,
    /// From 4 × 4 pixels; DeiT's choice.
    #[default]
    Bicubic,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// Weight of a pixel at a distance; bicubic is Keys's with a = −1/2, unlike that of affine maps.
    fn weight(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
            _ => 0.0,
        }
    }
}

/// PIL works with whole numbers: weights have this many fractional bits.
const BITS: u32 = 22;

/// Where the pixels that one output pixel is made of begin, and their weights.
struct Taps {
    first: usize,
    weights: Vec<i64>,
}

/// Shrinking widens the filter by the scale (antialiasing).
fn taps(from: usize, to: usize, filter: Filter) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    let tap = |output: usize| {
        let center = (output as f64 + 0.5) * scale;
        let first = (center - support + 0.5) as usize;
        let end = ((center + support + 0.5) as usize).min(from);
        let weight = |at| filter.weight((at as f64 - center + 0.5) * (1.0 / stretch));
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: &f64| {
            let scaled = weight / sum * f64::from(1 << BITS);
            (scaled + 0.5_f64.copysign(scaled)) as i64
        };
        let weights = weights.iter().map(fixed).collect();
        Taps { first, weights }
    };
    (0..to).map(tap).collect()
}

impl Taps {
    fn sum(&self, pixel: impl Fn(usize) -> u8) -> u8 {
        let terms = self.weights.iter().enumerate();
        let terms = terms.map(|(at, weight)| weight * i64::from(pixel(self.first + at)));
        ((terms.sum::<i64>() + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
    }
}

impl Picture {
    /// The image in another size, each side at least 1: rows first, then columns, rounded to 8 bits after each, with
    /// antialiasing.
    pub fn resized(&self, size: [usize; 2], filter: Filter) -> Self {
        let [height, width] = size.map(|side| side.max(1));
        let [_, rows, columns] = self.shape();
        let wide = match width == columns {
            true => self.clone(),
            false => {
                let taps = taps(columns, width, filter);
                self.by_plane([rows, width], |_, plane, output| {
                    for row in plane.chunks_exact(columns) {
                        output.extend(taps.iter().map(|taps| taps.sum(|at| row[at])));
                    }
                })
            }
        };
        if height == rows {
            return wide;
        }
        let taps = taps(rows, height, filter);
        wide.by_plane([height, width], |_, plane, output| {
            for taps in &taps {
                let column = |column| taps.sum(|row| plane[row * width + column]);
                output.extend((0..width).map(column));
            }
        })
    }
}
