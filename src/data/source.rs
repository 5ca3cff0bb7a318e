//! Where a loader's images come from.

use std::fmt::Debug;
use std::sync::Arc;

use super::{Images, Picture};
use crate::error::Result;

/// Labelled images that a [`Loader`](super::Loader) makes batches of: [`Images`] in memory, `ImageFolder` on disk, or your own.
///
/// `picture` is called from the loader's threads, and has to give the same image for the same index each time.
///
/// ```
/// use zosam::data::{ImageSource, Loader, LoaderConfig, Picture};
///
/// /// A thousand plain images, darker or brighter.
/// #[derive(Debug)]
/// struct Plain;
///
/// impl ImageSource for Plain {
///     fn len(&self) -> usize { 1000 }
///     fn classes(&self) -> usize { 2 }
///     fn label(&self, index: usize) -> usize { index / 500 }
///     fn channels(&self) -> usize { 1 }
///     fn size(&self) -> Option<[usize; 2]> { Some([4, 4]) }
///     fn picture(&self, index: usize) -> zosam::Result<Picture> {
///         Picture::new(vec![(index / 4) as u8; 16], [1, 4, 4])
///     }
/// }
///
/// let loader = Loader::new(Plain, LoaderConfig::default())?;
/// let batch = loader.epoch(0, 0).next().expect("a thousand images")?;
/// assert_eq!(batch.shape, [128, 1, 4, 4]);
/// # Ok::<(), zosam::Error>(())
/// ```
pub trait ImageSource: Debug + Send + Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// Whether there are no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of classes.
    fn classes(&self) -> usize;

    /// Name of a class, where it has one.
    fn class_name(&self, class: usize) -> Option<&str> {
        let _ = class;
        None
    }

    /// Class of an image, from 0; `index` is below [`len`](Self::len).
    fn label(&self, index: usize) -> usize;

    /// Number of channels of every image.
    fn channels(&self) -> usize;

    /// Height and width, if they are the same for all images.
    fn size(&self) -> Option<[usize; 2]>;

    /// An image; `index` is below [`len`](Self::len).
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn picture(&self, index: usize) -> Result<Picture>;
}

impl<S: ImageSource + ?Sized> ImageSource for Arc<S> {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn classes(&self) -> usize {
        (**self).classes()
    }

    fn class_name(&self, class: usize) -> Option<&str> {
        (**self).class_name(class)
    }

    fn label(&self, index: usize) -> usize {
        (**self).label(index)
    }

    fn channels(&self) -> usize {
        (**self).channels()
    }

    fn size(&self) -> Option<[usize; 2]> {
        (**self).size()
    }

    fn picture(&self, index: usize) -> Result<Picture> {
        (**self).picture(index)
    }
}

impl ImageSource for Images {
    fn len(&self) -> usize {
        self.len()
    }

    fn classes(&self) -> usize {
        self.classes()
    }

    fn label(&self, index: usize) -> usize {
        self.label(index)
    }

    fn channels(&self) -> usize {
        self.shape()[0]
    }

    fn size(&self) -> Option<[usize; 2]> {
        let [_, height, width] = self.shape();
        Some([height, width])
    }

    fn picture(&self, index: usize) -> Result<Picture> {
        Ok(Picture::trusted(self.pixels(index).to_vec(), self.shape()))
    }
}
