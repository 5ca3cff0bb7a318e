//! Sharpness-aware sparse training for [burn](https://burn.dev).
#![warn(missing_docs)]

#[cfg(feature = "data")]
pub mod data;
pub mod error;
pub mod masks;
pub mod objective;
pub mod optim;
pub mod perturb;
pub mod sparse;
pub mod tree;

pub use error::{Error, Result};
pub use optim::{Plain, Sam, SharpOptimizer, StepReport, ZoSam};
pub use perturb::{RandomSignConfig, SamConfig, SharpnessConfig, ZoSamConfig};
pub use sparse::{RandomStatic, RigL, Snip, Sparsity, SparsityMethod};
#[cfg(feature = "models")]
pub mod models;
