//! Did it work? Measurements that need a model, a loss and a few more passes.

mod alignment;
mod evaluation;
#[cfg(feature = "data")]
mod robustness;

pub use alignment::alignment;
pub use evaluation::Evaluation;
#[cfg(feature = "data")]
pub use robustness::Robustness;
