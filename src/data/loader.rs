//! Which batches an epoch has.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::{Augmentation, Epoch, Images, Normalization, random};
use crate::error::{Error, Result};

const MAXIMUM_WORKERS: usize = 256;

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
}

/// Makes the batches of each epoch, the same for any number of workers.
///
/// ```
/// use zosam::data::{Images, Loader, LoaderConfig};
///
/// let images = Images::new("example", vec![0, 51, 102, 255], vec![0, 1, 1, 0], [1, 1, 1], 2)?;
/// let config = LoaderConfig { batch_size: 3, ..LoaderConfig::evaluation() };
/// let loader = Loader::new(images, config)?;
/// let batches: Vec<_> = loader.epoch(0, 0).collect();
/// assert_eq!(batches.len(), 2);
/// assert_eq!(batches[0].images, [0.0, 0.2, 0.4]);
/// assert_eq!(batches[1].labels, [0]);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Loader {
    pub(super) images: Images,
    pub(super) config: LoaderConfig,
    /// Normalised value of each pixel value, per channel.
    pub(super) tables: Arc<Vec<[f32; 256]>>,
}

impl Loader {
    /// A loader over a set of images.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a value is out of its range or does not fit the images.
    pub fn new(images: Images, config: LoaderConfig) -> Result<Self> {
        let [channels, ..] = images.shape();
        range(
            "batch_size",
            config.batch_size,
            1..=usize::MAX,
            "at least 1",
        )?;
        range("workers", config.workers, 0..=MAXIMUM_WORKERS, "0 to 256")?;
        config.augmentation.validate(images.shape())?;
        let identity = || Normalization::identity(channels);
        let normalization = config.normalization.clone().unwrap_or_else(identity);
        normalization.validate(channels)?;
        Ok(Self {
            images,
            config,
            tables: Arc::new(normalization.tables()),
        })
    }

    /// The images that batches are made from.
    pub fn images(&self) -> &Images {
        &self.images
    }

    /// How batches are made.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
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

    /// The batches of an epoch from `first_batch` on: exactly the last ones of `epoch(epoch, 0)`.
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
