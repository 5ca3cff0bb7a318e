//! What each batch of an epoch holds.

use super::augment::{Picture, smooth_targets, unchecked};
use super::random::{Purpose, generator};
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
        let Loader { images, config, .. } = &self.loader;
        let first = number * config.batch_size;
        let last = first
            .saturating_add(config.batch_size)
            .min(self.order.len());
        let [channels, height, width] = self.loader.shape();
        let size = channels * height * width;
        let mut normalised = Vec::with_capacity((last - first) * size);
        let mut pixels = Vec::new();
        let mut indices = Vec::with_capacity(last - first);
        for turn in first..last {
            let index = self.order[turn / config.repeats];
            self.image([index, turn % config.repeats], &mut pixels, &mut normalised);
            indices.push(index);
        }
        let label = |index: &usize| images.label(*index) as i64;
        let mut batch = Batch {
            images: normalised,
            labels: indices.iter().map(label).collect(),
            shape: [indices.len(), channels, height, width],
            indices,
            targets: None,
        };
        self.mix(number, &mut batch);
        batch
    }

    /// Appends an image, augmented and normalised; `pixels` is room to work in.
    fn image(&self, turn: [usize; 2], pixels: &mut Vec<u8>, normalised: &mut Vec<f32>) {
        let Loader {
            images,
            config,
            tables,
        } = &self.loader;
        let [index, repeat] = turn;
        let generator = |purpose| generator(config.seed, self.epoch, purpose, index, repeat);
        let crop = config.augmentation;
        let draw = crop.draw_from(&mut generator(Purpose::Augmentation));
        pixels.clear();
        crop.apply(images, index, draw, pixels);
        if !config.transforms.is_empty() {
            let picture = Picture::trusted(std::mem::take(pixels), images.shape());
            let picture = unchecked(&config.transforms, picture, config.seed, self.epoch, turn);
            *pixels = picture.into_pixels();
        }
        let [_, height, width] = self.loader.shape();
        let start = normalised.len();
        for (plane, table) in pixels.chunks_exact(height * width).zip(tables.iter()) {
            normalised.extend(plane.iter().map(|pixel| table[usize::from(*pixel)]));
        }
        if let Some(erasing) = &config.erasing {
            let image = &mut normalised[start..];
            erasing.apply(image, [height, width], &mut generator(Purpose::Erasing));
        }
    }

    /// Makes soft targets if the configuration asks for them, and mixes the batch.
    fn mix(&self, number: usize, batch: &mut Batch) {
        let Loader { images, config, .. } = &self.loader;
        if config.mixup.is_none() && config.label_smoothing == 0.0 {
            return;
        }
        let classes = images.classes();
        let mut targets = smooth_targets(&batch.labels, classes, config.label_smoothing);
        if let Some(mixup) = &config.mixup {
            let size = [batch.shape[2], batch.shape[3]];
            let mix = mixup.draw(config.seed, self.epoch, number, size);
            mix.apply(&mut batch.images, batch.shape);
            mix.mix_targets(&mut targets, classes);
        }
        batch.targets = Some(targets);
    }
}
