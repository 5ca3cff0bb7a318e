//! Sparse convolution: structure, and the three products of training.

mod build;
mod dense;
mod direction;
mod epilogue;
mod gradient;
mod gradient_many;
mod mosaic;
mod multiply;
mod multiply_many;
mod multiply_one;
mod packed;
mod structure;

pub use dense::DenseConv;
pub use epilogue::Epilogue;
pub use mosaic::MosaicConv;

pub use packed::PackedConv;
pub use structure::ConvStructure;
