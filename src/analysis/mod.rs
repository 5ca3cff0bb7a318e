//! Did it work? Measurements that need a model, a loss and a few more passes.

mod alignment;
mod evaluation;
mod rise;
#[cfg(feature = "data")]
mod robustness;

pub use alignment::alignment;
pub use evaluation::Evaluation;
pub use rise::{GradientNoise, gradient_noise, rise, worst_rise};
#[cfg(feature = "data")]
pub use robustness::Robustness;
