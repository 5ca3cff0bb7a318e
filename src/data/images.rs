//! A labelled image set in memory.

use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};
use serde::{Deserialize, Serialize};

use super::Normalization;
use crate::error::{Error, Result};

/// A labelled image set in memory; a clone shares the pixels.
///
/// ```
/// use zosam::data::Images;
///
/// // Two images with one channel, one row and three columns, in ten classes.
/// let images = Images::new("example", vec![0, 1, 2, 3, 4, 5], vec![7, 9], [1, 1, 3], 10)?;
/// assert_eq!(images.pixels(1), [3, 4, 5]);
/// assert_eq!(images.label(1), 9);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Images {
    name: Arc<str>,
    pixels: Arc<Vec<u8>>,
    labels: Arc<Vec<u32>>,
    len: usize,
    shape: [usize; 3],
    classes: usize,
}

/// One image of [`Images`], for burn's data set tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageItem {
    /// Pixels from 0 to 255, `[channels, height, width]` in row-major order.
    pub pixels: Vec<u8>,
    /// Number of channels, height and width.
    pub shape: [usize; 3],
    /// Class, from 0.
    pub label: usize,
}

impl Images {
    /// A set from its pixels `[images, channels, height, width]` in row-major order, one label per
    /// image, the shape `[channels, height, width]` of an image, and the number of classes.
    ///
    /// # Errors
    ///
    /// If the shape has a zero, the number of pixels is not images × channels × height × width, or a
    /// label is not below `classes`.
    pub fn new(
        name: &str,
        pixels: Vec<u8>,
        labels: Vec<u32>,
        shape: [usize; 3],
        classes: usize,
    ) -> Result<Self> {
        let expected = shape
            .iter()
            .try_fold(labels.len(), |product, size| product.checked_mul(*size));
        if shape.contains(&0) {
            return Err(Error::Config {
                field: "images.shape",
                value: format!("{shape:?}"),
                valid: "channels, height and width, each at least 1",
            });
        }
        if expected != Some(pixels.len()) {
            return Err(Error::Config {
                field: "images.pixels",
                value: format!(
                    "{} pixels, {} labels, {shape:?}",
                    pixels.len(),
                    labels.len()
                ),
                valid: "labels × channels × height × width pixels",
            });
        }
        if let Some((image, label)) = invalid_label(&labels, classes) {
            return Err(Error::Config {
                field: "images.labels",
                value: format!("{label} at image {image}, {classes} classes"),
                valid: "labels below the number of classes",
            });
        }
        Ok(Self {
            name: name.into(),
            len: labels.len(),
            pixels: Arc::new(pixels),
            labels: Arc::new(labels),
            shape,
            classes,
        })
    }

    /// The first `count` images, or all if there are fewer; shares the pixels.
    pub fn take(&self, count: usize) -> Self {
        let len = self.len.min(count);
        Self {
            len,
            ..self.clone()
        }
    }

    /// Name of the set, such as `cifar10 train`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of channels, height and width of each image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Pixels of an image from 0 to 255, `[channels, height, width]` in row-major order.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`Images::len`], as indexing a slice does.
    pub fn pixels(&self, index: usize) -> &[u8] {
        let size = self.image_size();
        &self.live_pixels()[index * size..][..size]
    }

    /// Class of an image, from 0.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`Images::len`], as indexing a slice does.
    pub fn label(&self, index: usize) -> usize {
        self.labels[..self.len][index] as usize
    }

    /// Mean and standard deviation of each channel over the whole set.
    ///
    /// The deviation is that of the population. A channel that never changes, and each channel of an
    /// empty set, gets deviation 1, so that dividing by it is harmless.
    pub fn channel_statistics(&self) -> Normalization {
        let [channels, height, width] = self.shape;
        let mut counts = vec![[0_u64; 256]; channels];
        let planes = self.live_pixels().chunks_exact(height * width);
        for (plane, channel) in planes.zip((0..channels).cycle()) {
            for &pixel in plane {
                counts[channel][usize::from(pixel)] += 1;
            }
        }
        Normalization::from_counts(&counts)
    }

    fn image_size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Without what [`Images::take`] cut off.
    fn live_pixels(&self) -> &[u8] {
        &self.pixels[..self.len * self.image_size()]
    }
}

impl Dataset<ImageItem> for Images {
    fn get(&self, index: usize) -> std::result::Result<ImageItem, DatasetError> {
        Ok(ImageItem {
            pixels: self.pixels(index).to_vec(),
            shape: self.shape,
            label: self.label(index),
        })
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// The first label that is not below `classes`, with its position.
pub(super) fn invalid_label(labels: &[u32], classes: usize) -> Option<(usize, u32)> {
    let mut labels = labels.iter().copied().enumerate();
    labels.find(|(_, label)| *label as usize >= classes)
}
