//! Sparse convolution: structure, and the three products of training.

mod gradient;
mod multiply;
mod packed;
mod structure;

pub use multiply::Epilogue;
pub use packed::PackedConv;
pub use structure::ConvStructure;
