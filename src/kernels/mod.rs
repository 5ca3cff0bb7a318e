//! Sparse × dense on a CPU: convolution and linear layers that do only the arithmetic of live
//! weights. Slices in, slices out.
//!
//! A *structure* ([`ConvStructure`], [`LinearStructure`]) is built once per mask; values are
//! gathered from the dense weights on each call, so masks stay the single source of truth and no
//! copy of a weight is kept. Results are the same to the bit whatever the number of threads.
//!
//! | call | formula | cost in multiply-adds |
//! |---|---|---|
//! | `forward` | `y = W ⋆ x + b` (then residual and [`Bounds`], see [`Epilogue`]) | live weights × outputs per channel |
//! | `input_gradient` | `∂L/∂x = Wᵀ ⋆ ∂L/∂y` | the same |
//! | `weight_gradient` | `∂L/∂w` at live positions, zero elsewhere | the same |
//!
//! [`BatchNorm`] has what lies between the products in training: statistics of a batch,
//! normalisation with residual and ReLU in one pass, and their gradients in two (one with fixed
//! statistics).
//!
//! # Numbers that are not finite
//!
//! A dead weight never contributes, whatever it is multiplied with, but in [`DenseConv`] and
//! [`SingleLinear::dense`]. A live one does. Padding counts
//! as zeros that are multiplied, so an infinite weight there gives NaN. In the weight gradient of a
//! convolution an infinite or NaN input can reach all weights that read its channel, also those
//! that never meet it.
//!
//! Batch norm's ReLU keeps NaN and makes +0 of the rest that is not positive; its gradient is zero
//! there, whatever comes back.
//!
//! # Rounding
//!
//! All sums are over `f32`, one fused multiply-add per product where the CPU has it, in an order
//! that depends on the instruction set: `|error| ≤ n ε Σ |a b|` for sums of n products, `ε = 2⁻²³`.
//! The sums of batch norm go on in `f64` after at most 2047 numbers.

pub(crate) mod activation;
#[cfg(feature = "flex")]
pub(crate) mod attention;
mod bounds;
mod conv;
pub(crate) mod dense;
pub(crate) mod elementwise;
#[cfg(feature = "flex")]
pub(crate) mod gelu;
mod interleaved;
#[cfg(feature = "flex")]
pub(crate) mod layer_norm;
mod linear;
mod memory;
mod mosaic;
mod norm;
mod plane;
mod products;
pub(crate) mod reduce;
mod rows;
mod scratch;
mod shape;
mod simd;
pub(crate) mod softmax;
pub(crate) mod standardise;
pub(crate) mod strided;

pub use bounds::Bounds;
pub use conv::{ConvStructure, DenseConv, Epilogue, MosaicConv, PackedConv};
pub use linear::{LinearStructure, SingleLinear};
pub use memory::keep_freed_memory;
pub use mosaic::Mosaic;
#[cfg(feature = "flex")]
pub(crate) use norm::Source;
pub use norm::{BatchNorm, GradientMask, NormFactors, NormGradients};
pub(crate) use scratch::fewest;
pub use shape::ConvShape;
pub use simd::Instructions;
