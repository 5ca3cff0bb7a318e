//! What each masked layer has computed, on which path, and how long it took.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The three products of a layer's training.
#[cfg(feature = "flex")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    Forward,
    InputGradient,
    WeightGradient,
}

/// Counts and times of one path.
#[derive(Debug, Default)]
struct Path {
    calls: AtomicU64,
    nanoseconds: AtomicU64,
}

/// Counts and times of one layer, shared by all threads that run it.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// By product, dense and sparse.
    paths: [[Path; 2]; 3],
}

/// What a layer has computed on one path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spent {
    /// Forward passes, input gradients and weight gradients.
    pub calls: [u64; 3],
    /// Their wall-clock times.
    pub time: [Duration; 3],
}

impl Spent {
    /// Time of all three products.
    pub fn total(&self) -> Duration {
        self.time.iter().sum()
    }
}

impl Meter {
    /// Runs and times a product.
    #[cfg(feature = "flex")]
    pub fn time<R>(&self, product: Product, sparse: bool, compute: impl FnOnce() -> R) -> R {
        let start = std::time::Instant::now();
        let result = compute();
        let path = &self.paths[product as usize][usize::from(sparse)];
        path.calls.fetch_add(1, Relaxed);
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        path.nanoseconds.fetch_add(nanoseconds, Relaxed);
        result
    }

    /// What was spent on the dense or the sparse path.
    pub fn spent(&self, sparse: bool) -> Spent {
        let path = |product: usize| &self.paths[product][usize::from(sparse)];
        Spent {
            calls: [0, 1, 2].map(|product| path(product).calls.load(Relaxed)),
            time: [0, 1, 2]
                .map(|product| Duration::from_nanos(path(product).nanoseconds.load(Relaxed))),
        }
    }
}
