//! What becomes of images that cannot be read.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::error::{Chain, Error};

/// What a loader does with an image that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CorruptImages {
    /// The batch is the image's error.
    #[default]
    Stop,
    /// The image is left out of its batch, which is that much smaller; each is warned of once, with a count. A batch of which no image is
    /// left is an error.
    Skip,
}

/// The images that were left out so far.
#[derive(Debug, Default)]
pub(super) struct Skipped(Mutex<BTreeSet<usize>>);

impl Skipped {
    /// Remembers an image, with a warning the first time.
    pub(super) fn add(&self, index: usize, of: usize, error: &Error) {
        let mut skipped = self.lock();
        if skipped.insert(index) {
            let count = skipped.len();
            log::warn!(
                "left out an image, {count} of {of} so far: {}",
                Chain(error)
            );
        }
    }

    pub(super) fn indices(&self) -> Vec<usize> {
        self.lock().iter().copied().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<usize>> {
        // Whoever panicked meanwhile has left a set that is still one.
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }
}
