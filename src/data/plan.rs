//! What each batch of an epoch holds.

use super::{Batch, Loader};

/// All that decides what the batches of an epoch hold.
pub(super) struct Plan {
    pub(super) loader: Loader,
    pub(super) epoch: u64,
    /// Positions in the set, in the order of their turns.
    pub(super) order: Vec<usize>,
}

impl Plan {
    /// Makes a batch; `number` is below [`Loader::len`].
    pub(super) fn batch(&self, number: usize) -> Batch {
        let Loader {
            images,
            config,
            tables,
        } = &self.loader;
        let first = number * config.batch_size;
        let last = first
            .saturating_add(config.batch_size)
            .min(self.order.len());
        let indices = self.order[first..last].to_vec();
        let [channels, height, width] = images.shape();
        let mut pixels = Vec::with_capacity(channels * height * width);
        let mut normalised = Vec::with_capacity(indices.len() * pixels.capacity());
        for &index in &indices {
            let draw = config.augmentation.draw(config.seed, self.epoch, index);
            pixels.clear();
            config.augmentation.apply(images, index, draw, &mut pixels);
            for (plane, table) in pixels.chunks_exact(height * width).zip(tables.iter()) {
                normalised.extend(plane.iter().map(|pixel| table[usize::from(*pixel)]));
            }
        }
        Batch {
            images: normalised,
            labels: indices
                .iter()
                .map(|index| images.label(*index) as i64)
                .collect(),
            shape: [indices.len(), channels, height, width],
            indices,
        }
    }
}
