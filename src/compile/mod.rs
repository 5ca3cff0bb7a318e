//! Any burn module as a network on the sparse CPU engine: its forward pass is recorded once, by
//! burn's graph capture, and what was recorded is made into steps of
//! [`SparseNetwork`](crate::inference::SparseNetwork).
//!
//! Whatever layers a module is made of, it works: operations that the engine lacks are burn's own,
//! on its flex backend. [`SparseNetwork::report`](crate::inference::SparseNetwork::report) says
//! which.
//!
//! ```
//! use burn::nn::{Linear, LinearConfig, Relu};
//! use burn::module::Module;
//! use burn::tensor::{Device, Tensor};
//! use zosam::inference::SparseNetwork;
//!
//! #[derive(Module, Debug)]
//! struct Mlp {
//!     first: Linear,
//!     last: Linear,
//! }
//!
//! impl Mlp {
//!     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//!         self.last.forward(Relu::new().forward(self.first.forward(x)))
//!     }
//! }
//!
//! let device = Device::flex();
//! let model = Mlp {
//!     first: LinearConfig::new(8, 16).init(&device),
//!     last: LinearConfig::new(16, 3).init(&device),
//! };
//! let sample = Tensor::<2>::ones([1, 8], &device);
//! let network = SparseNetwork::compile(&model, sample, |model, x| model.forward(x))?;
//! assert_eq!(network.logits(&[0.5; 5 * 8])?.len(), 5 * 3);
//! # Ok::<(), zosam::Error>(())
//! ```
//!
//! # What can be recorded
//!
//! | a forward pass that … | |
//! |---|---|
//! | computes tensors from its inputs and the module's parameters | is recorded |
//! | branches on shapes, loops over layers or a fixed number of steps | is recorded as it runs for the sample |
//! | branches on numbers (`into_scalar`), draws random ones | is refused |
//! | mixes images of a batch | is recorded for the sample's whole batch, and runs at that size only |
//! | has floats of other than 32 bits, or quantised weights | is refused |
//!
//! Shapes are constants: one network for each size of image and length of text. The module is in
//! evaluation mode (`valid`), and stays as it is.

mod config;
mod fold;
mod lower;
mod mappers;
mod reference;
mod tensors;
mod trace;
mod uses;

pub use config::CompileConfig;
pub use tensors::{TensorMapper, Tensors};
pub use uses::Uses;
