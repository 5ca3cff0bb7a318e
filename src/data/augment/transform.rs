//! A chain of steps that every 8-bit image goes through.

use serde::{Deserialize, Serialize};

use super::resized_crop::validate_size;
use super::{ColorJitter, Filter, Picture, RandAugment, ResizedCrop};
use crate::data::random::{Generator, Purpose, generator, happens};
use crate::error::{Result, check};

/// A step on one 8-bit image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Transform {
    /// A random part, resized.
    ResizedCrop(ResizedCrop),
    /// torchvision's `RandomHorizontalFlip`.
    Flip {
        /// From 0 to 1.
        probability: f64,
    },
    /// Two or so of fifteen operations.
    RandAugment(RandAugment),
    /// Random brightness, contrast and saturation.
    ColorJitter(ColorJitter),
    /// Another size, without chance: for evaluation, too.
    Resize {
        /// Height and width, each 1 to 8192.
        size: [usize; 2],
        /// How pixels are interpolated.
        filter: Filter,
    },
}

impl Transform {
    fn apply(&self, picture: Picture, generator: &mut Generator) -> Picture {
        match self {
            Self::ResizedCrop(crop) => crop.apply(picture, generator),
            Self::Flip { probability } if happens(generator, *probability) => picture.mirrored(),
            Self::Flip { .. } => picture,
            Self::RandAugment(augment) => augment.apply(picture, generator),
            Self::ColorJitter(jitter) => jitter.apply(picture, generator),
            Self::Resize { size, filter } => picture.resized(*size, *filter),
        }
    }

    /// Height and width of what becomes of an image; `None` if images differ.
    pub(in crate::data) fn size(&self, before: Option<[usize; 2]>) -> Option<[usize; 2]> {
        match self {
            Self::ResizedCrop(crop) => crop.size.or(before),
            Self::Resize { size, .. } => Some(*size),
            _ => before,
        }
    }

    /// Whether it does the same to an image each time.
    pub(in crate::data) fn is_fixed(&self) -> bool {
        matches!(self, Self::Resize { .. })
    }

    pub(in crate::data) fn validate(&self, channels: usize) -> Result<()> {
        match self {
            Self::ResizedCrop(crop) => crop.validate(),
            Self::Flip { probability } => {
                let valid = (0.0..=1.0).contains(probability);
                check("flip.probability", *probability, valid, "0 to 1")
            }
            Self::RandAugment(augment) => augment.validate(channels),
            Self::ColorJitter(jitter) => jitter.validate(),
            Self::Resize { size, .. } => validate_size("resize.size", *size),
        }
    }
}

/// What the steps make of the image at `index` of its set, as the loader does it: a function of the seed, the
/// epoch and the index. `repeat` counts from 0 the times that the epoch has shown the image (repeated augmentation).
///
/// # Errors
///
/// If a value of a step is out of its range.
///
/// ```
/// use zosam::data::{Picture, RandAugment, ResizedCrop, Transform, transformed};
///
/// let steps = [Transform::ResizedCrop(ResizedCrop::default()), Transform::RandAugment(RandAugment::default())];
/// let picture = Picture::new((0..75).collect(), [3, 5, 5])?;
/// let first = transformed(&steps, picture.clone(), 7, 0, 0, 0)?;
/// assert_eq!(first, transformed(&steps, picture, 7, 0, 0, 0)?);
/// # Ok::<(), zosam::Error>(())
/// ```
pub fn transformed(
    steps: &[Transform],
    picture: Picture,
    seed: u64,
    epoch: u64,
    index: usize,
    repeat: u32,
) -> Result<Picture> {
    let [channels, ..] = picture.shape();
    steps.iter().try_for_each(|step| step.validate(channels))?;
    Ok(unchecked(
        steps,
        picture,
        seed,
        epoch,
        [index, repeat as usize],
    ))
}

/// As [`transformed`], for steps that were validated.
pub(in crate::data) fn unchecked(
    steps: &[Transform],
    picture: Picture,
    seed: u64,
    epoch: u64,
    [index, repeat]: [usize; 2],
) -> Picture {
    let mut generator = generator(seed, epoch, Purpose::Transforms, index, repeat);
    steps
        .iter()
        .fold(picture, |picture, step| step.apply(picture, &mut generator))
}
