//! Background threads that make the batches of an epoch ahead of their use.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use super::Batch;
use super::plan::Plan;
use crate::error::Result;

/// Finished batches that wait for their turn, per worker.
const AHEAD: usize = 2;

/// The batches of an epoch, in order.
///
/// Worker `w` of `n` makes the batches `w`, `w + n`, `w + 2n` … into a channel of its own, and the
/// channels are read in turn, so which thread is fastest makes no difference. Dropping it stops the
/// threads. An error takes the place of its batch; the batches after it can still be had.
pub struct Epoch {
    plan: Arc<Plan>,
    first: usize,
    remaining: Range<usize>,
    /// `None` where the system would not start a thread.
    workers: Vec<Option<Worker>>,
}

struct Worker {
    batches: Receiver<Result<Batch>>,
    thread: JoinHandle<()>,
}

impl Epoch {
    pub(super) fn start(plan: Plan, first: usize, end: usize, workers: usize) -> Self {
        let plan = Arc::new(plan);
        let first = first.min(end);
        let count = workers.min(end - first);
        let workers = (0..count).map(|worker| {
            let numbers = (first + worker..end).step_by(count);
            spawn(plan.clone(), numbers).ok()
        });
        Self {
            workers: workers.collect(),
            plan,
            first,
            remaining: first..end,
        }
    }
}

fn spawn(
    plan: Arc<Plan>,
    numbers: impl Iterator<Item = usize> + Send + 'static,
) -> std::io::Result<Worker> {
    let (sender, batches) = sync_channel(AHEAD);
    let work = move || {
        for number in numbers {
            // Nobody wants the batch if the epoch was dropped.
            if sender.send(plan.batch(number)).is_err() {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("zosam-loader".into());
    let thread = thread.spawn(work)?;
    Ok(Worker { batches, thread })
}

impl Iterator for Epoch {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        let number = self.remaining.next()?;
        let turn = (number - self.first) % self.workers.len().max(1);
        let worker = self.workers.get(turn).and_then(Option::as_ref);
        let batch = worker.and_then(|worker| worker.batches.recv().ok());
        // Without a worker the batch is made here: slower, but the same.
        Some(batch.unwrap_or_else(|| self.plan.batch(number)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.remaining.size_hint()
    }
}

impl ExactSizeIterator for Epoch {}

impl std::iter::FusedIterator for Epoch {}

impl Drop for Epoch {
    fn drop(&mut self) {
        // All channels close before any thread is waited for: one that waits to send then gives up.
        let workers = self.workers.drain(..).flatten();
        let threads: Vec<_> = workers.map(|worker| worker.thread).collect();
        for thread in threads {
            // A panic of a worker shows again where its batch is made on the calling thread.
            let _ = thread.join();
        }
    }
}
