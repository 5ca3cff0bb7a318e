//! Which batches an epoch has.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::corrupt::Skipped;
use super::plan::Plan;
use super::{
    Augmentation, CorruptImages, Epoch, ImageSource, Mixup, Normalization, RandAugment,
    RandomErasing, ResizedCrop, Transform, random,
};
use crate::error::{Error, Result, check};

const MAXIMUM_WORKERS: usize = 256;
const MAXIMUM_REPEATS: usize = 256;

/// How batches are made.
///
/// | field | default | range |
/// |---|---|---|
/// | `batch_size` | 128 images | at least 1 |
/// | `seed` | 0 | |
/// | `workers` | 2 threads | 0 to 256; 0 makes batches on the thread that asks for them |
/// | `shuffle` | `true` | |
/// | `augmentation` | padding 4, flip | |
/// | `normalization` | `None`: pixels in \[0, 1\] | one mean and deviation per channel |
/// | `drop_last` | `false` | |
/// | `corrupt_images` | `Stop` | see [`CorruptImages`] |
/// | `transforms` | none | see each [`Transform`] |
/// | `erasing` | `None` | see [`RandomErasing`] |
/// | `mixup` | `None` | see [`Mixup`] |
/// | `label_smoothing` | 0 | 0 to 1 |
/// | `repeats` | 1 | 1 to 256 |
///
/// An image goes through these in the order `augmentation`, `transforms`, `normalization`, `erasing`, `mixup`.
/// [`LoaderConfig::deit`] has the values of DeiT's recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoaderConfig {
    /// Images in a batch; the last one of an epoch may be smaller.
    pub batch_size: usize,
    /// Decides the order and the augmentation, together with the epoch.
    pub seed: u64,
    /// Background threads that make batches ahead; has no influence on what they hold.
    pub workers: usize,
    /// Whether each epoch has an order of its own, instead of the order of the set.
    pub shuffle: bool,
    /// Random crop and flip.
    pub augmentation: Augmentation,
    /// Shift and scale of each channel.
    pub normalization: Option<Normalization>,
    /// Whether to leave out the last batch if it is smaller than the others.
    pub drop_last: bool,
    /// What is done with images that cannot be read.
    #[serde(default)]
    pub corrupt_images: CorruptImages,
    /// Steps on each 8-bit image, after `augmentation`.
    #[serde(default)]
    pub transforms: Vec<Transform>,
    /// Overwrites a part of a normalised image.
    #[serde(default)]
    pub erasing: Option<RandomErasing>,
    /// Mixes the images of a batch, which gives it soft targets.
    #[serde(default)]
    pub mixup: Option<Mixup>,
    /// Smoothing of the targets; above 0 gives batches soft targets.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Repeated augmentation (Hoffer et al., arXiv 1901.09335): each image is shown this many times in a row, augmented anew,
    /// while the epoch keeps its length, so that it shows the first part of its order only. This is DeiT's `RASampler` (timm's
    /// `RepeatAugSampler`) for one process, without its rounding of the epoch to multiples of 256.
    #[serde(default = "once")]
    pub repeats: usize,
}

fn once() -> usize {
    1
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch_size: 128,
            seed: 0,
            workers: 2,
            shuffle: true,
            augmentation: Augmentation::default(),
            normalization: None,
            drop_last: false,
            corrupt_images: CorruptImages::Stop,
            transforms: Vec::new(),
            erasing: None,
            mixup: None,
            label_smoothing: 0.0,
            repeats: 1,
        }
    }
}

impl LoaderConfig {
    /// The default without shuffling and augmentation: every image once, in order, as it is.
    pub fn evaluation() -> Self {
        Self {
            shuffle: false,
            augmentation: Augmentation::none(),
            ..Self::default()
        }
    }

    /// The augmentation of DeiT (Touvron et al., arXiv 2012.12877) for images of `size` × `size` pixels: random resized crop,
    /// flip, RandAugment, random erasing, mixup and CutMix, label smoothing 0.1, three repeats. Batch size and normalisation are
    /// those of the default.
    ///
    /// Soft targets need [`soft_cross_entropy`](super::soft_cross_entropy).
    pub fn deit(size: usize) -> Self {
        let crop = ResizedCrop {
            size: Some([size; 2]),
            ..ResizedCrop::default()
        };
        Self {
            augmentation: Augmentation::none(),
            transforms: vec![
                Transform::ResizedCrop(crop),
                Transform::Flip { probability: 0.5 },
                Transform::RandAugment(RandAugment::default()),
            ],
            erasing: Some(RandomErasing::default()),
            mixup: Some(Mixup::default()),
            label_smoothing: 0.1,
            repeats: 3,
            ..Self::default()
        }
    }

    /// The same without anything random in images and targets.
    pub(super) fn plain(&self) -> Self {
        let fixed = self.transforms.iter().filter(|step| step.is_fixed());
        Self {
            augmentation: Augmentation::none(),
            transforms: fixed.cloned().collect(),
            erasing: None,
            mixup: None,
            label_smoothing: 0.0,
            repeats: 1,
            ..self.clone()
        }
    }

    fn validate(&self, channels: usize, size: Option<[usize; 2]>) -> Result<()> {
        range("batch_size", self.batch_size, 1..=usize::MAX, "at least 1")?;
        range("workers", self.workers, 0..=MAXIMUM_WORKERS, "0 to 256")?;
        range("repeats", self.repeats, 1..=MAXIMUM_REPEATS, "1 to 256")?;
        size.map_or(Ok(()), |size| self.augmentation.validate(size))?;
        for step in &self.transforms {
            step.validate(channels)?;
        }
        self.erasing.map_or(Ok(()), |erasing| erasing.validate())?;
        self.mixup.map_or(Ok(()), |mixup| mixup.validate())?;
        let smoothing = self.label_smoothing;
        let is_valid = (0.0..=1.0).contains(&smoothing);
        check("label_smoothing", smoothing, is_valid, "0 to 1")
    }
}

/// Makes the batches of each epoch, the same for any number of workers.
///
/// ```
/// use zosam::data::{Images, Loader, LoaderConfig};
///
/// let images = Images::new("example", vec![0, 51, 102, 255], vec![0, 1, 1, 0], [1, 1, 1], 2)?;
/// let config = LoaderConfig { batch_size: 3, ..LoaderConfig::evaluation() };
/// let loader = Loader::new(images, config)?;
/// let batches: Vec<_> = loader.epoch(0, 0).collect::<Result<_, _>>()?;
/// assert_eq!(batches.len(), 2);
/// assert_eq!(batches[0].images, [0.0, 0.2, 0.4]);
/// assert_eq!(batches[1].labels, [0]);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Loader {
    pub(super) images: Arc<dyn ImageSource>,
    pub(super) config: LoaderConfig,
    /// Normalised value of each pixel value, per channel.
    pub(super) tables: Arc<Vec<[f32; 256]>>,
    /// Of an image in a batch: channels, height and width.
    pub(super) shape: [usize; 3],
    pub(super) skipped: Arc<Skipped>,
}

impl Loader {
    /// A loader over a set of images.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a value is out of its range or does not fit the images, or these differ in size and no transform makes them alike.
    pub fn new(images: impl ImageSource + 'static, config: LoaderConfig) -> Result<Self> {
        Self::shared(Arc::new(images), config)
    }

    /// The same images in other batches.
    ///
    /// # Errors
    ///
    /// As [`Loader::new`].
    pub fn with_config(&self, config: LoaderConfig) -> Result<Self> {
        Self::shared(Arc::clone(&self.images), config)
    }

    fn shared(images: Arc<dyn ImageSource>, config: LoaderConfig) -> Result<Self> {
        let (channels, size) = (images.channels(), images.size());
        config.validate(channels, size)?;
        let steps = config.transforms.iter();
        let size = steps.fold(size, |size, step| step.size(size));
        let [height, width] = size.ok_or(Error::Config {
            field: "images.size",
            value: "different for each image".into(),
            valid: "one height and width: resize them, or add a ResizedCrop with a size",
        })?;
        let identity = || Normalization::identity(channels);
        let normalization = config.normalization.clone().unwrap_or_else(identity);
        normalization.validate(channels)?;
        Ok(Self {
            images,
            config,
            tables: Arc::new(normalization.tables()),
            shape: [channels, height, width],
            skipped: Arc::default(),
        })
    }

    /// The images that batches are made from.
    pub fn images(&self) -> &dyn ImageSource {
        &*self.images
    }

    /// How batches are made.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// Shape of an image in a batch: channels, height and width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The images that could not be read and were left out so far, by this loader and its clones, in the order of the set. Batches are made
    /// ahead, so these may be images of batches to come.
    pub fn skipped(&self) -> Vec<usize> {
        self.skipped.indices()
    }

    /// Number of batches in an epoch.
    pub fn len(&self) -> usize {
        let (images, batch_size) = (self.images.len(), self.config.batch_size);
        match self.config.drop_last {
            true => images / batch_size,
            false => images.div_ceil(batch_size),
        }
    }

    /// Whether an epoch has no batch.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batches of an epoch from `first_batch` on: exactly the last ones of `epoch(epoch, 0)`. Only a source
    /// that can fail has batches that are errors: images in memory have none.
    ///
    /// Empty if `first_batch` is not below [`Loader::len`]. Dropping the iterator early stops its
    /// threads.
    pub fn epoch(&self, epoch: u64, first_batch: usize) -> Epoch {
        let order = match self.config.shuffle {
            true => random::order(self.config.seed, epoch, self.images.len()),
            false => (0..self.images.len()).collect(),
        };
        let plan = Plan {
            loader: self.clone(),
            epoch,
            order,
        };
        Epoch::start(plan, first_batch, self.len(), self.config.workers)
    }
}

fn range(
    field: &'static str,
    value: usize,
    range: std::ops::RangeInclusive<usize>,
    valid: &'static str,
) -> Result<()> {
    match range.contains(&value) {
        true => Ok(()),
        false => Err(Error::Config {
            field,
            value: value.to_string(),
            valid,
        }),
    }
}
