//! Sharpness-aware sparse training for [burn](https://burn.dev).
//!
//! Two choices make a training step: where the gradient is measured, and which weights live.
//! `zosam` has both as one-word options around the burn optimizer and the burn module that you
//! have. The [`guide`] begins with [your model, sparse, in 15 minutes](guide::first_model).
//!
//! | gradient measured | dense | [`RandomStatic`] | [`Snip`] | [`RigL`] | your [`SparsityMethod`] |
//! |---|---|---|---|---|---|
//! | at `θ`: [`Plain`] | ✓ | ✓ | ✓ | ✓ | ✓ |
//! | at `θ + ρ g/‖g‖`: [`Sam`] | ✓ | ✓ | ✓ | ✓ | ✓ |
//! | at `θ + ρ ĝ/‖ĝ‖`, ĝ from forward passes: [`ZoSam`] | ✓ | ✓ | ✓ | ✓ | ✓ |
//! | your [`Perturbation`] | ✓ | ✓ | ✓ | ✓ | ✓ |
//!
//! ```
//! # #[cfg(all(feature = "flex", feature = "models"))] {
//! use burn::{optim::SgdConfig, tensor::{Device, Int, Tensor}};
//! use zosam::{RigL, Sparsity, ZoSamConfig, models::{ResNet, ResNetConfig}};
//!
//! let device = Device::flex().autodiff(); // or any other burn device
//! let model = ResNetConfig::resnet32(10).with_depth(8).init(&device)?; // any burn Module
//! let mut optim = ZoSamConfig::new().with_rho(0.05).init(SgdConfig::new().build())?; // any burn optimizer
//! let mut sparsity = Sparsity::new(RigL::new(0.9).over(100_000)); // any SparsityMethod
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
//! | [`guide`] | how all of it is used, in pages whose code is tested |
//! | `disk` | files that are whole or absent (private) |
//! | [`error`] | what can go wrong, in words that say what to do |
//! | [`kernels`] | sparse × dense on slices; the only unsafe code |
//! | `models`, `data` | ResNets, VGGs, wide ResNets, DeiTs; image data (features of the same names) |
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `burn` | yes, by `flex` | everything that trains; without it `kernels`, `inference` and `error` are left |
//! | `flex` | yes | burn's portable CPU backend, with SIMD and threads |
//! | `ndarray`, `wgpu`, `vulkan`, `metal`, `cuda`, `rocm`, `tch` | | burn's other backends; those of GPUs with its `fusion`, `autotune` and `persistence` |
//! | `models` | yes | for small images ResNet-20 to ResNet-110, VGG-11 to VGG-19 and wide ResNets (WRN-28-10); torchvision's ResNet-18 to ResNet-152; DeiTs |
//! | `data` | yes | CIFAR-10, CIFAR-100 and IDX readers, augmentation up to DeiT's recipe (RandAugment, mixup, CutMix …), prefetching |
//! | `images` | | folders of image files; the corruption by JPEG |
//! | `pytorch` | | reads PyTorch's own checkpoints (`.pth`) |
//! | `compile` | yes | `SparseNetwork::compile`: any module on the sparse CPU engine |
//! | `interpreter` | yes, by `compile` | network files with operations that are left to burn |
//! | `onnx` | yes | `SparseNetwork::save_onnx` |
//! | `train` | | `SparseModel`: inside burn's own `Learner` |
//! | `network` | | fetches CIFAR and CIFAR-C; its TLS needs a C compiler |
//!
//! The library compiles with none of them. With `default-features = false` it loads and runs
//! compiled networks, and no part of burn is built: a program that does only that is 1.9 MB
//! (release, stripped, x86-64 Linux).
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
#[cfg(feature = "burn")]
pub mod guide;
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
pub use perturb::{Perturbation, RandomSignConfig, SamConfig, SharpnessConfig, ZoSamConfig};
#[cfg(feature = "burn")]
pub use sparse::{
    Dsr, GradualMagnitude, Grasp, Keep, LotteryTicket, MagnitudeStatic, Mest, RandomStatic, RigL,
    Set, Snfs, Snip, Sparsity, SparsityMethod, Svite, SynFlow, TopKast,
};

/// Runs the README's code as a test.
#[cfg(all(doctest, feature = "flex", feature = "models"))]
#[doc = include_str!("../README.md")]
struct Readme;
