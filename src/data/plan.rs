//! What each batch of an epoch holds.

use super::augment::{Picture, smooth_targets, unchecked};
use super::random::{Purpose, generator};
use super::{Batch, CorruptImages, Loader};
use crate::error::{Error, Result};

/// All that decides what the batches of an epoch hold.
pub(super) struct Plan {
    pub(super) loader: Loader,
    pub(super) epoch: u64,
    /// Positions in the set, in the order of their turns.
    pub(super) order: Vec<usize>,
}

impl Plan {
    /// Makes a batch; `number` is below [`Loader::len`].
    pub(super) fn batch(&self, number: usize) -> Result<Batch> {
        let Loader { images, config, .. } = &self.loader;
        let first = number * config.batch_size;
        let last = first
            .saturating_add(config.batch_size)
            .min(self.order.len());
        let [channels, height, width] = self.loader.shape;
        let size = channels * height * width;
        let mut normalised = Vec::with_capacity((last - first) * size);
        let mut pixels = Vec::new();
        let mut indices = Vec::with_capacity(last - first);
        let mut decoded = None;
        for turn in first..last {
            let index = self.order[turn / config.repeats];
            // Repeats of an image follow each other, so it is decoded once for all of them.
            let picture = match decoded.take() {
                Some((of, picture)) if of == index => picture,
                _ => self.picture(index)?,
            };
            if let Some(picture) = &picture {
                let turn = [index, turn % config.repeats];
                self.append(picture, turn, &mut pixels, &mut normalised)?;
                indices.push(index);
            }
            decoded = Some((index, picture));
        }
        if indices.is_empty() {
            return Err(Error::Config {
                field: "batch",
                value: format!(
                    "{number}, none of whose {} images can be read",
                    last - first
                ),
                valid: "one with an image left: repair or remove the files, or set drop_last if it is the short one",
            });
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
        Ok(batch)
    }

    /// An image; `None` if it cannot be read and is to be left out.
    fn picture(&self, index: usize) -> Result<Option<Picture>> {
        let Loader { images, config, .. } = &self.loader;
        match (images.picture(index), config.corrupt_images) {
            (Ok(picture), _) => Ok(Some(picture)),
            (Err(error), CorruptImages::Stop) => Err(error),
            (Err(error), CorruptImages::Skip) => {
                self.loader.skipped.add(index, images.len(), &error);
                Ok(None)
            }
        }
    }

    /// Appends an image, augmented and normalised; `turn` is its index and repeat, `pixels` is room to work in.
    fn append(
        &self,
        picture: &Picture,
        turn: [usize; 2],
        pixels: &mut Vec<u8>,
        normalised: &mut Vec<f32>,
    ) -> Result<()> {
        let Loader { config, tables, .. } = &self.loader;
        let [index, repeat] = turn;
        let generator = |purpose| generator(config.seed, self.epoch, purpose, index, repeat);
        let crop = config.augmentation;
        let draw = crop.draw_from(&mut generator(Purpose::Augmentation));
        pixels.clear();
        crop.apply(picture, draw, pixels);
        let mut made = picture.shape();
        if !config.transforms.is_empty() {
            let picture = Picture::trusted(std::mem::take(pixels), picture.shape());
            let picture = unchecked(&config.transforms, picture, config.seed, self.epoch, turn);
            made = picture.shape();
            *pixels = picture.into_pixels();
        }
        let shape @ [_, height, width] = self.loader.shape;
        // A source of the user's may promise one shape and give another.
        if made != shape {
            return Err(Error::Config {
                field: "picture",
                value: format!("{made:?} of image {index}"),
                valid: "of the channels and the size that its set says",
            });
        }
        let start = normalised.len();
        for (plane, table) in pixels.chunks_exact(height * width).zip(tables.iter()) {
            normalised.extend(plane.iter().map(|pixel| table[usize::from(*pixel)]));
        }
        if let Some(erasing) = &config.erasing {
            let image = &mut normalised[start..];
            erasing.apply(image, [height, width], &mut generator(Purpose::Erasing));
        }
        Ok(())
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
