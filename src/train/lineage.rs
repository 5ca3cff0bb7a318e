//! Which of the learner's workers holds a copy of the model.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{self, ThreadId};

/// burn's learner tells its workers, one per device, nothing about themselves. But it clones the
/// model for each in turn, on one thread, and each worker forks its clone on a thread of its own:
/// the number of the clone is that of the worker.
#[derive(Debug)]
pub(super) struct Lineage {
    /// The number of clones that were made of this one.
    clones: Arc<AtomicU64>,
    /// Which clone this is, and the thread that made it.
    sibling: u64,
    made_on: ThreadId,
    worker: u64,
}

impl Default for Lineage {
    fn default() -> Self {
        Self {
            clones: Arc::default(),
            sibling: 0,
            made_on: thread::current().id(),
            worker: 0,
        }
    }
}

impl Clone for Lineage {
    fn clone(&self) -> Self {
        Self {
            sibling: self.clones.fetch_add(1, Relaxed),
            ..Self::default()
        }
    }
}

impl Lineage {
    /// As it is after a fork.
    pub fn forked(self) -> Self {
        let worker = match thread::current().id() == self.made_on {
            true => 0,
            false => self.sibling,
        };
        Self { worker, ..self }
    }

    /// The number of the worker; 0 for the only one.
    pub fn worker(&self) -> u64 {
        self.worker
    }
}
