//! A folder that resumes a run exactly.
//!
//! A checkpoint is a folder of six files: the model, the optimizer's state, the masks and what was
//! live before in burn's record format, `state.cbor` with step number, method memory and whatever
//! progress the caller keeps (CBOR, because JSON has no NaN, and a run that diverged is a run,
//! too), and `manifest.json` with the size and SHA-256 of the others. It is written under another
//! name, synced and renamed, so that a checkpoint either exists whole or not at all; what damages
//! it later is detected before a byte of it is used.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::{nn::{Linear, LinearConfig}, optim::AdamWConfig, tensor::{Device, Tensor}};
//! use zosam::{Sparsity, RigL, ZoSamConfig, checkpoint::Store};
//! let device = Device::flex().autodiff();
//! let batch = Tensor::<2>::ones([4, 8], &device);
//! let loss = |model: &Linear| model.forward(batch.clone()).powi_scalar(2).mean();
//! let start = || {
//!     let optim = ZoSamConfig::new().init(AdamWConfig::new().build()).unwrap();
//!     (LinearConfig::new(8, 4).init(&device), optim, Sparsity::new(RigL::new(0.5).until(100)))
//! };
//! let (model, mut optim, mut sparsity) = start();
//! let model = sparsity.attach(model, loss).unwrap();
//! let (model, _) = optim.step_with(0.1, model, &mut sparsity, loss).unwrap();
//!
//! let folder = tempfile::tempdir().unwrap();
//! let store = Store::open(folder.path()).unwrap();
//! store.save(&model, &optim, &sparsity, &"one step done").unwrap();
//!
//! let (fresh, optim, mut sparsity) = start();
//! let newest = store.latest().unwrap().expect("one was saved");
//! let (model, optim, progress) = store
//!     .load::<_, _, _, String>(&newest, fresh, optim, &mut sparsity)
//!     .unwrap();
//! assert_eq!((optim.steps(), progress.as_str()), (1, "one step done"));
//! # }
//! ```

mod config;
mod files;
mod fingerprint;
mod manifest;
mod partial;
mod root;
mod store;

pub use config::claim;
pub use fingerprint::fingerprint;
pub use store::Store;

pub use crate::disk::write_atomically;
