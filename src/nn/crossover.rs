//! The density below which training a layer on the kernels is faster than on burn's dense arithmetic: measured, not computed.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo bench --bench crossover
//! ```
//!
//! times forward and both gradients of a layer through burn's autodiff on either path. The kernels beat flex's dense convolutions even
//! without a dead weight, so that masks never make a convolution slower; against its matrix products they need some. What the
//! bench has printed is in `docs/PERFORMANCE.md`.

use crate::kernels::ConvShape;

/// Of a convolution. Above 1: sparse whenever there is a mask.
pub fn conv(shape: &ConvShape) -> f64 {
    match shape.groups {
        1 => 2.0,
        // Not measured: groups make short rows, for which the kernels are not made.
        _ => 0.5,
    }
}

/// Of a linear layer, weights `[inputs, outputs]`. A batch that does not fill a vector stays dense.
pub fn linear(_sizes: [usize; 2], examples: usize) -> f64 {
    match examples {
        0..16 => 0.0,
        _ => 0.35,
    }
}
