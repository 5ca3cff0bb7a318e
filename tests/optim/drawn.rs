//! Draws in turn, for test programs whose tests run side by side.

use std::cell::Cell;

use burn::tensor::Device;
use zosam::objective::seeded;

thread_local! {
    /// Seeds used so far by this test: each has a thread of its own.
    static SEEDS: Cell<u64> = const { Cell::new(0) };
}

/// Draws in turn: the same in every run, whatever other tests draw, and no other test's dropout changes.
pub fn drawn<R>(draw: impl FnOnce() -> R) -> R {
    let seed = SEEDS.replace(SEEDS.get() + 1);
    seeded(&Device::flex().autodiff(), seed, draw)
}
