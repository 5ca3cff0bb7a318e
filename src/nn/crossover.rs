//! The density below which sparse training of a layer is faster than burn's dense arithmetic.

use crate::kernels::ConvShape;

/// Of a convolution.
pub fn conv(_shape: &ConvShape) -> f64 {
    0.6
}

/// Of a linear layer, weights `[inputs, outputs]`.
pub fn linear(_sizes: [usize; 2], examples: usize) -> f64 {
    if examples < 16 { 0.0 } else { 0.4 }
}
