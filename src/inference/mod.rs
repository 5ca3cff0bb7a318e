//! Trained sparse networks on a CPU, without burn's tensors: what a weight does not have costs
//! nothing.
//!
//! [`SparseNetwork`] is a network for one size of image (or length of text), made of any burn
//! module by `SparseNetwork::compile` (feature `compile`) or loaded from a file. Batch norm is
//! folded into convolutions, and only live weights are kept, 8 bytes each. Weights are live if they
//! are not zero, so a model file or a model after training is all it needs. Activations are plain
//! slices; a thread works on one image at a time, so that its activations stay in the caches.
//!
//! | operations | what they are here |
//! |---|---|
//! | convolutions, transposed ones, linear layers, with what follows them | sparse products, or dense ones of the output channels that live; bias, batch norm, residual and ReLU are in them |
//! | attention | dense products and softmax, a head at a time |
//! | layer, RMS, group and batch norm, softmax, pools, means | a pass each |
//! | functions of single numbers that follow each other | one pass for all of them |
//! | reshapes, slices, permutations | mostly nothing: the same numbers, seen in another way |
//! | everything else | burn's own operations on flex (feature `interpreter`) |
//!
//! A layer that is nearly dense is multiplied densely, from dense weights of 4 bytes each. There,
//! and nowhere else, a dead weight times an infinite number is NaN.
//!
//! Outputs are the model's but for rounding: batch norm is a factor of the weights here, a step of
//! its own there.

mod file;
pub(crate) mod graph;
#[cfg(feature = "interpreter")]
mod interpreter;
#[cfg(not(feature = "interpreter"))]
#[path = "no_interpreter.rs"]
mod interpreter;
mod network;
#[cfg(feature = "onnx")]
mod onnx;
mod plan;
mod report;
mod rewrite;
mod run;
mod steps;

pub use network::SparseNetwork;
pub use report::{Arithmetic, NetworkReport, OperationReport};
pub use run::{Input, Output};
