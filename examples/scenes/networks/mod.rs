//! The networks, and their losses.

mod detector;
mod segmenter;
mod unet;

pub use detector::{Detector, STRIDE};
pub use segmenter::Segmenter;

/// Kinds of items.
pub const CLASSES: usize = 10;
