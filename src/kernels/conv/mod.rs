//! Sparse convolution: structure, and the three products of training.

mod build;
mod dense;
mod direction;
mod framed;
mod gradient;
mod gradient_many;
mod multiply;
mod multiply_many;
mod multiply_one;
mod packed;
mod structure;

pub use dense::DenseConv;
pub use framed::FramedConv;
pub use multiply::Epilogue;
pub use packed::PackedConv;
pub use structure::ConvStructure;
