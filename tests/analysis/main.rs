//! Instruments against matrices and functions that are known.
#![cfg(feature = "flex")]

#[path = "../optim/drawn.rs"]
mod drawn;
mod landscape;
mod similarity;
mod spectrum;
mod tangent;

use burn::module::Module;
use burn::tensor::Device;
use zosam::tree;

use drawn::drawn;

fn device() -> Device {
    Device::flex().autodiff()
}

/// A module with its weights, which burn draws when they are first used.
fn made<M: Module>(init: impl FnOnce(&Device) -> M) -> M {
    drawn(|| {
        let module = init(&device());
        tree::values(&module);
        module
    })
}
