//! Sharpness-aware sparse training for [burn](https://burn.dev).
//!
//! Two choices make a training step: where the gradient is measured, and which weights live. `zosam` has both as
//! one-word options around the burn optimizer and the burn module that you have.
//!
//! | gradient measured | dense | [`RandomStatic`] | [`Snip`] | [`RigL`] | your [`SparsityMethod`] |
//! |---|---|---|---|---|---|
//! | at `θ`: [`Plain`] | ✓ | ✓ | ✓ | ✓ | ✓ |
//! | at `θ + ρ g/‖g‖`: [`Sam`] | ✓ | ✓ | ✓ | ✓ | ✓ |
//! | at `θ + ρ ĝ/‖ĝ‖`, ĝ from forward passes: [`ZoSam`] | ✓ | ✓ | ✓ | ✓ | ✓ |
//! | your [`Perturbation`](perturb::Perturbation) | ✓ | ✓ | ✓ | ✓ | ✓ |
//!
//! ```
//! # #[cfg(all(feature = "flex", feature = "models"))] {
//! use burn::{optim::SgdConfig, tensor::{Device, Int, Tensor}};
//! use zosam::{RigL, Sparsity, ZoSamConfig, models::{ResNet, ResNetConfig}};
//!
//! let device = Device::flex().autodiff(); // or any other burn device
//! let model = ResNetConfig::resnet32(10).with_depth(8).init(&device)?; // any burn Module
//! let mut optim = ZoSamConfig::new().with_rho(0.05).init(SgdConfig::new().build())?; // any burn optimizer
//! let mut sparsity = Sparsity::new(RigL::new(0.9, 75_000)); // any SparsityMethod
//!
//! # let batches = [(Tensor::<4>::ones([2, 3, 8, 8], &device), Tensor::<1, Int>::zeros([2], &device))];
//! let (images, labels) = batches[0].clone();
//! let mut model = sparsity.attach(model, |m: &ResNet| m.loss(images.clone(), labels.clone()))?;
//! for (images, labels) in batches {
//!     let loss = |m: &ResNet| m.loss(images.clone(), labels.clone());
//!     (model, _) = optim.step_with(0.1, model, &mut sparsity, loss)?;
//! }
//! println!("{}", sparsity.report(&model));
//! # }
//! # Ok::<(), zosam::Error>(())
//! ```
//!
//! # The rooms
//!
//! | module | what lives there |
//! |---|---|
//! | [`optim`] | the step, the one place where order matters |
//! | [`perturb`] | where the gradient is measured |
//! | [`sparse`] | which weights live |
//! | [`masks`] | the live weights of a model, the single source of truth |
//! | [`nn`] | burn's layers, except that dead weights cost nothing |
//! | [`objective`] | the loss of a model on a batch, evaluations counted |
//! | [`tangent`] | derivatives along a direction, for products with the Hessian |
//! | [`tree`] | the only code that walks modules |
//! | [`checkpoint`] | a folder that resumes a run exactly |
//! | [`model_file`] | models in safetensors files, and what they say of themselves |
//! | [`analysis`] | did it work? |
//! | `compile` | any module's forward pass as a sparse network (feature of the same name) |
//! | [`inference`] | sparse networks on the kernels, without tensors; their files |
//! | `train` | inside burn's own `Learner` (feature of the same name) |
//! | `disk` | files that are whole or absent (private) |
//! | [`error`] | what can go wrong, in words that say what to do |
//! | [`kernels`] | sparse × dense on slices; the only unsafe code |
//! | `models`, `data` | ResNets, VGGs, wide ResNets, DeiTs; image data (features of the same names) |
//!
//! Without the feature `burn` (`default-features = false`) [`inference`], [`kernels`] and [`error`] are left: all that a
//! program needs that runs compiled networks.
#![warn(missing_docs)]
#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "burn")]
pub mod analysis;
#[cfg(feature = "burn")]
pub mod checkpoint;
#[cfg(feature = "compile")]
pub mod compile;
#[cfg(feature = "data")]
pub mod data;
mod disk;
pub mod error;
// Without `compile` nothing makes graphs but files do, and these have been rewritten.
#[cfg_attr(not(feature = "compile"), allow(dead_code))]
pub mod inference;
#[allow(unsafe_code)]
pub mod kernels;
#[cfg(feature = "burn")]
pub mod masks;
#[cfg(feature = "burn")]
pub mod model_file;
#[cfg(feature = "models")]
pub mod models;
#[cfg(feature = "burn")]
pub mod nn;
#[cfg(feature = "burn")]
pub mod objective;
#[cfg(feature = "burn")]
pub mod optim;
#[cfg(feature = "burn")]
pub mod perturb;
#[cfg(feature = "burn")]
pub mod sparse;
#[cfg(feature = "burn")]
pub mod tangent;
#[cfg(feature = "train")]
pub mod train;
#[cfg(feature = "burn")]
pub mod tree;

#[cfg(feature = "burn")]
pub use error::Failed;
pub use error::{Error, Result};
pub use kernels::keep_freed_memory;
#[cfg(feature = "burn")]
pub use optim::{Plain, Sam, SharpOptimizer, StepReport, ZoSam};
#[cfg(feature = "burn")]
pub use perturb::{RandomSignConfig, SamConfig, SharpnessConfig, ZoSamConfig};
#[cfg(feature = "burn")]
pub use sparse::{
    Dsr, GradualMagnitude, Grasp, Keep, LotteryTicket, MagnitudeStatic, Mest, RandomStatic, RigL,
    Set, Snfs, Snip, Sparsity, SparsityMethod, Svite, SynFlow, TopKast,
};

/// Runs the README's code as a test.
#[cfg(all(doctest, feature = "flex", feature = "models"))]
#[doc = include_str!("../README.md")]
struct Readme;
