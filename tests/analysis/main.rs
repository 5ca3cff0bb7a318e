//! Instruments against matrices and functions that are known.
#![cfg(feature = "flex")]

mod landscape;
mod similarity;
mod spectrum;
mod tangent;

use std::cell::Cell;

use burn::module::Module;
use burn::tensor::Device;
use zosam::objective::seeded;
use zosam::tree;

fn device() -> Device {
    Device::flex().autodiff()
}

thread_local! {
    /// Seeds used so far by this test: each has a thread of its own.
    static SEEDS: Cell<u64> = const { Cell::new(0) };
}

/// Draws in turn: the same in every run, whatever other tests draw.
fn drawn<R>(draw: impl FnOnce() -> R) -> R {
    let seed = SEEDS.replace(SEEDS.get() + 1);
    seeded(&device(), seed, draw)
}

/// A module with its weights, which burn draws when they are first used.
fn made<M: Module>(init: impl FnOnce(&Device) -> M) -> M {
    drawn(|| {
        let module = init(&device());
        tree::values(&module);
        module
    })
}
