//! Did it work? Measurements that need a model, a loss and a few more passes.

mod alignment;
mod evaluation;

pub use alignment::alignment;
pub use evaluation::Evaluation;
