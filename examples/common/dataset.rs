//! The images.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use zosam::data::{
    Color, CorruptImages, Filter, ImageFolder, ImageFolderConfig, ImageSource, Images, Loader,
    LoaderConfig, Normalization, Sizing, cifar10, cifar100, image_folders, mnist,
};
use zosam::model_file::{Card, Input};

use super::args::{CorruptName, DataArgs, DatasetName, Defaults};
use super::embedded::embedded;
use super::{classes, download};

/// The images of a program.
pub struct Data {
    pub train: Arc<dyn ImageSource>,
    pub test: Arc<dyn ImageSource>,
    pub normalization: Normalization,
    /// Channels, height and width of the network's input.
    pub shape: [usize; 3],
    /// How a file becomes such an input.
    pub framing: ImageFolderConfig,
    /// Names of the classes, in order.
    pub classes: Vec<String>,
}

/// Training and test images, as many as `--limit` and `--test-limit` say.
///
/// With the card of a file, images are as its network knows them, and so is the order of its classes. `whole` keeps the training images of a
/// folder in their own size, for a random crop.
pub fn for_training(
    args: &DataArgs,
    card: Option<&Card>,
    defaults: &Defaults,
    whole: bool,
) -> Result<Data> {
    check(args)?;
    match args.dataset() {
        DatasetName::Folder => folder(args, card, defaults, whole),
        _ => memory(args, card),
    }
}

fn check(args: &DataArgs) -> Result<()> {
    if let Some(folder) = args.data.as_deref().filter(|_| !args.download) {
        ensure!(
            folder.is_dir(),
            "--data {}: there is no such folder",
            folder.display()
        );
    }
    if args.limit() == Some(0) || args.test_limit == Some(0) {
        bail!("--limit and --test-limit must be at least 1");
    }
    Ok(())
}

fn memory(args: &DataArgs, card: Option<&Card>) -> Result<Data> {
    if args.image_size.is_some() {
        bail!("--image-size is for --dataset folder; the images of other sets stay as they are");
    }
    let (train, test, classes) = sets(args)?;
    let train = train.take(args.limit().unwrap_or(usize::MAX));
    let test = test.take(args.test_limit.unwrap_or(usize::MAX));
    let [channels, height, width] = train.shape();
    // What the file's network was shown means to it what it was shown: grey of one channel, say.
    let known = card.and_then(Card::input);
    let known = known.filter(|input| input.shape[0] == channels);
    Ok(Data {
        normalization: known.map_or_else(|| train.channel_statistics(), Input::normalization),
        shape: train.shape(),
        framing: ImageFolderConfig {
            color: match channels {
                1 => Color::Grey,
                _ => Color::Rgb,
            },
            sizing: match height == width {
                true => Sizing::square(height),
                false => Sizing::Stretch([height, width]),
            },
            filter: Filter::Bicubic,
            ..ImageFolderConfig::default()
        },
        train: Arc::new(train),
        test: Arc::new(test),
        classes,
    })
}

/// The sets in memory: training images, test images, names of the classes.
fn sets(args: &DataArgs) -> Result<(Images, Images, Vec<String>)> {
    let folder = download::folder(args)?;
    let dataset = args.dataset();
    let (train, test) = match (dataset, &folder) {
        (DatasetName::Cifar10, Some(folder)) => cifar10(folder)?,
        (DatasetName::Cifar100, Some(folder)) => cifar100(folder)?,
        (DatasetName::Cifar10, None) => bail!(
            "--dataset cifar10 needs --download or --data DIR, the folder with cifar-10-batches-bin (binary version)"
        ),
        (DatasetName::Cifar100, None) => bail!(
            "--dataset cifar100 needs --download or --data DIR, the folder with cifar-100-binary (binary version)"
        ),
        (_, Some(folder)) => mnist(folder)?,
        (_, None) => embedded()?,
    };
    let names = classes::names(dataset, folder.as_deref(), train.classes());
    Ok((train, test, names))
}

/// The middle of each image; `whole` keeps the whole of the training images.
fn folder(args: &DataArgs, card: Option<&Card>, defaults: &Defaults, whole: bool) -> Result<Data> {
    if args.download {
        bail!("--download fetches CIFAR; for --dataset folder name one by --data DIR");
    }
    let Some(folder) = &args.data else {
        bail!("--dataset folder needs --data DIR, with train/CLASS/*.jpg and val/CLASS/*.jpg");
    };
    let known = card.and_then(Card::input);
    let of_file = known.map(|input| input.shape[1]);
    let size = args.image_size.or(of_file).unwrap_or(defaults.image_size);
    let framing = match known {
        Some(input) if of_file == Some(size) => input.framing(),
        Some(input) => framed(size, input.framing()),
        None => framed(size, ImageFolderConfig::default()),
    };
    let config = ImageFolderConfig {
        exif_orientation: args.exif_orientation,
        ..framing
    };
    let (train, test) = image_folders(folder, config)?;
    let (train, test) = match card.map(Card::classes) {
        Some(names) if is_reordered(names, train.class_names()) => {
            let open = |split| ImageFolder::open_with_classes(folder.join(split), names, config);
            (open("train")?, open("val")?)
        }
        _ => (train, test),
    };
    let classes = train.class_names().to_vec();
    let channels = train.channels();
    let train = train.spread(args.limit().unwrap_or(usize::MAX));
    let test = test.spread(args.test_limit.unwrap_or(usize::MAX));
    let train = match whole {
        true => train.with_sizing(Sizing::Original)?,
        false => train,
    };
    let [height, width] = test.size().context("test images have one size")?;
    Ok(Data {
        normalization: known.map_or_else(Normalization::imagenet, Input::normalization),
        shape: [channels, height, width],
        framing: config,
        train: Arc::new(train),
        test: Arc::new(test),
        classes,
    })
}

/// Whether names are the same but for their order.
fn is_reordered(a: &[String], b: &[String]) -> bool {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    a != b && sorted(a) == sorted(b)
}

/// The middle of images, of a size.
fn framed(size: usize, framing: ImageFolderConfig) -> ImageFolderConfig {
    ImageFolderConfig {
        sizing: Sizing::CenterCrop {
            // The usual share of large images, 224 of 256; small ones have no border to spare.
            resize: if size < 64 {
                size
            } else {
                size.saturating_mul(8) / 7
            },
            crop: size,
        },
        filter: Filter::Bicubic,
        ..framing
    }
}

/// The test images for a file's network: of its size and channels, and with labels in the order of its classes.
pub fn for_testing(
    args: &DataArgs,
    input: &Input,
    names: &[String],
) -> Result<Arc<dyn ImageSource>> {
    check(args)?;
    let limit = args.test_limit.unwrap_or(usize::MAX);
    if args.dataset() == DatasetName::Folder {
        let Some(folder) = &args.data else {
            bail!(
                "the file's network is of a folder of images: --data DIR names one, with val/CLASS/* or CLASS/*"
            );
        };
        let config = ImageFolderConfig {
            exif_orientation: args.exif_orientation,
            ..input.framing()
        };
        ensure!(
            !names.is_empty(),
            "the file does not name its classes, so that folders cannot be matched with them"
        );
        let images = ImageFolder::open_with_classes(test_folder(folder), names, config)?;
        return Ok(Arc::new(images.spread(limit)));
    }
    let (_, test, own) = sets(args)?;
    let (dataset, shape) = (args.dataset().name(), test.shape());
    ensure!(
        shape == input.shape,
        "--dataset {dataset} has images of {shape:?} (channels, height, width), the file's network takes {:?}",
        input.shape
    );
    ensure!(
        names.is_empty() || names == own,
        "--dataset {dataset} has the classes {}, the file's network knows {}",
        classes::some(&own),
        classes::some(names)
    );
    Ok(Arc::new(test.take(limit)))
}

/// The part of a folder to test on: its `val`, or itself.
fn test_folder(folder: &Path) -> std::path::PathBuf {
    let val = folder.join("val");
    match val.is_dir() {
        true => val,
        false => folder.to_path_buf(),
    }
}

/// Plain batches for testing.
pub fn test_loader(
    args: &DataArgs,
    images: Arc<dyn ImageSource>,
    normalization: &Normalization,
) -> Result<Loader> {
    let config = LoaderConfig {
        batch_size: 250,
        workers: args.workers,
        normalization: Some(normalization.clone()),
        corrupt_images: corrupt_images(args),
        ..LoaderConfig::evaluation()
    };
    Ok(Loader::new(images, config)?)
}

/// What is done with images that cannot be read.
pub fn corrupt_images(args: &DataArgs) -> CorruptImages {
    match args.corrupt_images {
        CorruptName::Stop => CorruptImages::Stop,
        CorruptName::Skip => CorruptImages::Skip,
    }
}
