//! Convolutions that skip dead weights.

mod one;
#[cfg(feature = "flex")]
mod plan;
mod transposed;
mod two;

pub use one::Conv1d;
pub use transposed::ConvTranspose2d;
pub use two::Conv2d;
