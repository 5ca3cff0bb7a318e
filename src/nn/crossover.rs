//! The density below which training a layer on the kernels is faster than on burn's dense
//! arithmetic: measured, not computed.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo bench --bench crossover
//! ```
//!
//! times forward and both gradients of a layer through burn's autodiff on either path. The kernels
//! beat flex's dense convolutions even without a dead weight, so that masks never make a
//! convolution slower; against its matrix products they need some. What the bench has printed is in
//! `docs/PERFORMANCE.md`.

use crate::kernels::{ConvShape, Instructions};

/// The crossover density of a convolution, also of one over sequences (images of one row), and of
/// the transposed one that mirrors it. Above 1: sparse whenever there is a mask.
///
/// Of one group all three were measured: sparse is faster even without a dead weight, on AVX2 (images
/// alone) and on AVX-512.
pub fn conv(shape: &ConvShape) -> f64 {
    match shape.groups {
        1 => 2.0,
        // Not measured: groups make short rows, for which the kernels are not made.
        _ => 0.5,
    }
}

/// The crossover density of a linear layer with weights `[inputs, outputs]`.
pub fn linear(sizes: [usize; 2], examples: usize) -> f64 {
    match (examples, sizes[0].max(sizes[1])) {
        // Not a vector of examples.
        (0..8, _) => 0.0,
        // A dense product gains more from wide vectors than a sparse one of few examples: measured
        // for 16 of a layer of 384 × 384.
        (8..64, _) if Instructions::detect() == Instructions::Avx512 => 0.07,
        (8..64, _) => 0.2,
        // The block of examples leaves the second cache.
        (_, 1025..) => 0.25,
        _ => 0.35,
    }
}
