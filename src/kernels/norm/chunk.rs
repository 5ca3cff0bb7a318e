//! Channels that a task takes together.

use std::ops::Range;

/// Numbers of an image that a task reads in a row, at least: a page, below which the CPU's
/// prefetchers do not get going.
const RUN: usize = 1024;

/// How many channels a task takes: enough for a run, but no fewer tasks than threads. Results do
/// not depend on it.
pub(super) fn channels_per_task(channels: usize, plane: usize) -> usize {
    let threads = rayon::current_num_threads();
    RUN.div_ceil(plane).min(channels.div_ceil(threads)).max(1)
}

/// Some channels of all images.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) images: usize,
    /// Channels of an image.
    pub(super) of: usize,
    pub(super) plane: usize,
    /// The first channel of the task.
    pub(super) first: usize,
    /// Channels of the task.
    pub(super) count: usize,
}

impl Chunk {
    /// Numbers from one image to the next.
    #[inline(always)]
    pub(super) fn image(&self) -> usize {
        self.of * self.plane
    }

    /// Where a plane lies in the arrays; `channel` counts from the first of the task.
    #[inline(always)]
    pub(super) fn plane(&self, image: usize, channel: usize) -> Range<usize> {
        let start = (image * self.of + self.first + channel) * self.plane;
        start..start + self.plane
    }
}
