//! Derivatives along a direction, by dual numbers.
//!
//! burn differentiates once. Products with the Hessian come all the same: push a [`Dual`] `(x, ẋ)`
//! through the network along a direction `v` of its weights, which gives `⟨∇L(θ), v⟩` as an
//! ordinary expression, and run one backward pass through it: `∇⟨∇L(θ), v⟩ = H v` (Pearlmutter,
//! "Fast exact multiplication by the Hessian", 1994). The result is exact, kinks of ReLU included,
//! where differences of gradients see little but the kinks.
//!
//! A model that offers this has, beside `forward`, a `forward_tangent` that takes a model of the
//! same shape whose parameters are the direction:
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::{module::Module, nn::{Linear, LinearConfig}, tensor::{Device, Tensor, activation::relu}};
//! use zosam::tangent::{Dual, ForwardTangent};
//!
//! #[derive(Module, Debug)]
//! struct Net { hidden: Linear, classifier: Linear }
//!
//! impl Net {
//!     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//!         self.classifier.forward(relu(self.hidden.forward(x)))
//!     }
//!     fn forward_tangent(&self, direction: &Self, x: Tensor<2>) -> Dual<2> {
//!         let x = self.hidden.forward_tangent(&direction.hidden, Dual::constant(x));
//!         self.classifier.forward_tangent(&direction.classifier, x.relu())
//!     }
//! }
//! # let device = Device::flex();
//! # let net = || Net { hidden: LinearConfig::new(3, 4).init(&device), classifier: LinearConfig::new(4, 2).init(&device) };
//! # let (net, direction, x) = (net(), net(), Tensor::<2>::ones([5, 3], &device));
//! # let dual = net.forward_tangent(&direction, x.clone());
//! # assert_eq!(dual.value.to_data(), net.forward(x).to_data());
//! # }
//! ```

mod dual;
mod layers;
mod loss;

pub use dual::Dual;
pub use layers::{ForwardTangent, batch_norm, layer_norm};
pub use loss::{cross_entropy, cross_entropy_tangent};
