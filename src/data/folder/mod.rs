//! A folder of image files for each class.

mod config;
mod decode;
mod frame;
mod list;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use config::{Color, ImageFolderConfig, Sizing};

use super::{ImageSource, Picture};
use crate::error::{Error, Result};
use list::Empty;

/// Labelled images on disk: a folder for each class, as torchvision's `ImageFolder` has it; a clone shares the list.
///
/// Classes are the folder's folders in the order of their names' bytes, images the JPEG, PNG, WebP, GIF, BMP and TIFF files in them (`.jpg`,
/// `.jpeg`, `.jfif`, `.png`, `.webp`, `.gif`, `.bmp`, `.tif`, `.tiff`, in either case) and in folders further down, in the order of their paths. Links are
/// followed. Names that begin with a dot are passed over, other files too, with a warning that counts them by extension. Files are decoded when
/// an image is asked for, by what they hold and not by their name; of several pictures in a file the first counts.
///
/// A file is damaged if its decoder finds anything wrong: checksums for PNG; for JPEG, which has none, codes and markers that cannot be,
/// and a missing end. Changed bits that make another valid file cannot be found. What follows the end of a JPEG image (a phone's film) is no
/// part of it.
///
/// ```
/// use zosam::data::{ImageFolder, ImageFolderConfig, Loader, LoaderConfig, Sizing};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # for class in ["cat", "dog"] {
/// #     std::fs::create_dir(folder.path().join(class)).unwrap();
/// #     image::RgbImage::new(5, 4).save(folder.path().join(class).join("1.png")).unwrap();
/// # }
/// # let folder = folder.path();
/// // folder/cat/1.png, folder/dog/1.png
/// let config = ImageFolderConfig { sizing: Sizing::square(32), ..ImageFolderConfig::default() };
/// let images = ImageFolder::open(folder, config)?;
/// assert_eq!(images.class_names(), ["cat", "dog"]);
/// for batch in Loader::new(images, LoaderConfig::default())?.epoch(0, 0) {
///     assert_eq!(batch?.shape, [2, 3, 32, 32]);
/// }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ImageFolder {
    root: PathBuf,
    classes: Arc<[String]>,
    files: Arc<[list::Entry]>,
    config: ImageFolderConfig,
}

impl ImageFolder {
    /// Lists a folder.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if it cannot be read, has no folder, or a class has no image; [`Error::Config`] if a value is out of its range.
    pub fn open(folder: impl AsRef<Path>, config: ImageFolderConfig) -> Result<Self> {
        Self::listed(folder.as_ref(), config, Empty::Refused)
    }

    /// Lists a folder to test a model on, whose classes are those given, in their order, whatever that of the folders: folders are
    /// matched by name. A class without images, or without a folder, is a warning.
    ///
    /// ```
    /// use zosam::data::{ImageFolder, ImageFolderConfig, ImageSource};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # for class in ["cat", "dog"] {
    /// #     std::fs::create_dir(folder.path().join(class)).unwrap();
    /// #     image::RgbImage::new(5, 4).save(folder.path().join(class).join("1.png")).unwrap();
    /// # }
    /// # let folder = folder.path();
    /// // folder/cat/1.png, folder/dog/1.png
    /// let classes = ["dog", "bird", "cat"].map(String::from);
    /// let images = ImageFolder::open_with_classes(folder, &classes, ImageFolderConfig::default())?;
    /// assert_eq!((images.label(0), images.label(1)), (2, 0));
    /// # Ok::<(), zosam::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) but for empty classes, and if a folder is none of the classes.
    pub fn open_with_classes(
        folder: impl AsRef<Path>,
        classes: &[String],
        config: ImageFolderConfig,
    ) -> Result<Self> {
        let images = Self::listed(folder.as_ref(), config, Empty::Warned)?;
        let root = images.root.display();
        let place = |name: &String| {
            let place = classes.iter().position(|class| class == name);
            place.ok_or_else(|| {
                let reason = format!(
                    "is none of the {} classes: {}",
                    classes.len(),
                    some(classes)
                );
                Error::file(images.root.join(name), reason)
            })
        };
        let places: Vec<usize> = images.classes.iter().map(place).collect::<Result<_>>()?;
        let missing: Vec<&str> = (0..classes.len())
            .filter(|class| !places.contains(class))
            .map(|class| classes[class].as_str())
            .collect();
        if !missing.is_empty() {
            let names = missing.join(", ");
            log::warn!("{root}: no folder for {} classes: {names}", missing.len());
        }
        let relabelled = images.files.iter().map(|entry| list::Entry {
            class: places[entry.class as usize] as u32,
            path: entry.path.clone(),
        });
        Ok(Self {
            files: relabelled.collect(),
            classes: classes.into(),
            ..images
        })
    }

    fn listed(root: &Path, config: ImageFolderConfig, empty: Empty) -> Result<Self> {
        config.sizing.validate()?;
        let root = root.to_path_buf();
        let (classes, files) = list::list(&root, empty)?;
        Ok(Self {
            root,
            classes: classes.into(),
            files: files.into(),
            config,
        })
    }

    /// Names of the classes: those of their folders.
    pub fn class_names(&self) -> &[String] {
        &self.classes
    }

    /// The file of an image.
    ///
    /// # Panics
    ///
    /// If `index` is not below the number of images, as indexing a slice does.
    pub fn path(&self, index: usize) -> &Path {
        &self.files[index].path
    }

    /// The same files in another size, such as [`Sizing::Original`] for training.
    ///
    /// # Errors
    ///
    /// If a value is out of its range.
    pub fn with_sizing(mut self, sizing: Sizing) -> Result<Self> {
        sizing.validate()?;
        self.config.sizing = sizing;
        Ok(self)
    }

    /// `count` images spread evenly over the list, so that classes keep their shares, or all if there are fewer.
    pub fn spread(&self, count: usize) -> Self {
        let len = self.files.len();
        let count = count.min(len);
        let at = |number: usize| (number as u128 * len as u128 / count as u128) as usize;
        let files = (0..count).map(|number| self.files[at(number)].clone());
        Self {
            files: files.collect(),
            ..self.clone()
        }
    }
}

impl ImageSource for ImageFolder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn classes(&self) -> usize {
        self.classes.len()
    }

    fn class_name(&self, class: usize) -> Option<&str> {
        self.classes.get(class).map(String::as_str)
    }

    fn label(&self, index: usize) -> usize {
        self.files[index].class as usize
    }

    fn channels(&self) -> usize {
        self.config.color.channels()
    }

    fn size(&self) -> Option<[usize; 2]> {
        self.config.sizing.size()
    }

    fn picture(&self, index: usize) -> Result<Picture> {
        read_picture(self.path(index), &self.config)
    }
}

/// Reads the training and the validation set of a folder with folders `train` and `val`, each as [`ImageFolder::open`] has it; a class
/// whose folder in `val` is empty is a warning.
///
/// # Errors
///
/// As [`ImageFolder::open`], or if the two differ in their classes.
pub fn image_folders(
    folder: impl AsRef<Path>,
    config: ImageFolderConfig,
) -> Result<(ImageFolder, ImageFolder)> {
    let open = |split, empty| ImageFolder::listed(&folder.as_ref().join(split), config, empty);
    let (train, val) = (open("train", Empty::Refused)?, open("val", Empty::Warned)?);
    if train.classes == val.classes {
        return Ok((train, val));
    }
    let missing = |from: &ImageFolder, of: &ImageFolder| {
        let mut names = of.classes.iter();
        let name = names.find(|name| from.classes.binary_search(name).is_err())?;
        Some(format!(
            "has no class `{name}`; expected those of {}",
            of.root.display()
        ))
    };
    match missing(&val, &train) {
        Some(reason) => Err(Error::file(val.root, reason)),
        None => Err(Error::file(
            &train.root,
            missing(&train, &val).unwrap_or_default(),
        )),
    }
}

/// Reads one JPEG, PNG, WebP, GIF, BMP or TIFF file.
///
/// # Errors
///
/// [`Error::File`] if it is missing, damaged, of another format, or has more than 100 million pixels or 2²⁸ bytes; [`Error::Config`] if a
/// value is out of its range.
///
/// ```
/// use zosam::data::{Color, ImageFolderConfig, Sizing, read_picture};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let file = folder.path().join("grey.png");
/// # image::GrayImage::from_pixel(5, 4, image::Luma([7])).save(&file).unwrap();
/// let config = ImageFolderConfig { sizing: Sizing::Original, ..ImageFolderConfig::default() };
/// let picture = read_picture(&file, &config)?; // a grey file, 5 wide and 4 high
/// assert_eq!((picture.shape(), picture.pixels()[0]), ([3, 4, 5], 7));
/// # Ok::<(), zosam::Error>(())
/// ```
pub fn read_picture(file: impl AsRef<Path>, config: &ImageFolderConfig) -> Result<Picture> {
    config.sizing.validate()?;
    let decoded = decode::decode(file.as_ref(), config)?;
    frame::frame(decoded, config).map_err(|fault| fault.in_file(file.as_ref()))
}

/// The first of many names.
fn some(names: &[String]) -> String {
    match names {
        [] | [_] | [_, _] | [_, _, _] => names.join(", "),
        [a, b, c, ..] => format!("{a}, {b}, {c}, …"),
    }
}
