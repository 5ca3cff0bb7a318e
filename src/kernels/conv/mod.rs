//! Sparse convolution: structure, and the three products of training.

mod gradient;
mod multiply;
mod structure;

pub use multiply::Epilogue;
pub use structure::ConvStructure;
