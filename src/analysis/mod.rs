//! Did it work? Measurements that need a model, a loss and a few more passes.

mod alignment;

pub use alignment::alignment;
