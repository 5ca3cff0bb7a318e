//! The images.

use std::sync::Arc;

use anyhow::{Result, bail};
use zosam::data::{
    Color, CorruptImages, Filter, ImageFolderConfig, ImageSource, Images, Loader, LoaderConfig,
    Normalization, Sizing, cifar10, cifar100, idx_images, image_folders, mnist,
};

use super::args::{Args, AugmentName, CorruptName, DatasetName};
use super::augment::Augmented;
use super::download;

macro_rules! asset {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/assets/fashion-mnist/",
            $name
        ))
    };
}

/// The images of a program.
pub struct Data {
    pub train: Arc<dyn ImageSource>,
    pub test: Arc<dyn ImageSource>,
    pub normalization: Normalization,
    /// Channels, height and width of the network's input.
    pub shape: [usize; 3],
    /// How a file becomes such an input.
    pub framing: ImageFolderConfig,
}

/// Training and test images, as many as `--limit` and `--test-limit` say.
pub fn load(args: &Args) -> Result<Data> {
    if args.limit() == Some(0) || args.test_limit == Some(0) {
        bail!("--limit and --test-limit must be at least 1");
    }
    match args.dataset {
        DatasetName::Folder => folder(args),
        _ => memory(args),
    }
}

fn memory(args: &Args) -> Result<Data> {
    if args.image_size.is_some() {
        bail!("--image-size is for --dataset folder; the images of other sets stay as they are");
    }
    let folder = download::folder(args)?;
    let (train, test) = match (args.dataset, &folder) {
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
    let train = train.take(args.limit().unwrap_or(usize::MAX));
    let test = test.take(args.test_limit.unwrap_or(usize::MAX));
    let [channels, height, width] = train.shape();
    Ok(Data {
        normalization: train.channel_statistics(),
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
        },
        train: Arc::new(train),
        test: Arc::new(test),
    })
}

/// The middle of each image; for DeiT's augmentation the whole of the training images.
fn folder(args: &Args) -> Result<Data> {
    if args.download {
        bail!("--download fetches CIFAR; for --dataset folder name one by --data DIR");
    }
    let Some(folder) = &args.data else {
        bail!("--dataset folder needs --data DIR, with train/CLASS/*.jpg and val/CLASS/*.jpg");
    };
    let size = args.image_size();
    let config = ImageFolderConfig {
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
        ..ImageFolderConfig::default()
    };
    let (train, test) = image_folders(folder, config)?;
    let train = train.spread(args.limit().unwrap_or(usize::MAX));
    let test = test.spread(args.test_limit.unwrap_or(usize::MAX));
    let train = match args.augment {
        AugmentName::Deit => train.with_sizing(Sizing::Original)?,
        _ => train,
    };
    Ok(Data {
        normalization: Normalization::imagenet(),
        shape: [3, size, size],
        framing: config,
        train: Arc::new(train),
        test: Arc::new(test),
    })
}

/// A balanced sample of Fashion-MNIST (Zalando Research, MIT licence): 6,000 and 1,000 images.
fn embedded() -> Result<(Images, Images)> {
    let train = idx_images(
        "embedded training",
        asset!("train-images-idx3-ubyte.gz"),
        asset!("train-labels-idx1-ubyte.gz"),
        10,
    )?;
    let test = idx_images(
        "embedded test",
        asset!("t10k-images-idx3-ubyte.gz"),
        asset!("t10k-labels-idx1-ubyte.gz"),
        10,
    )?;
    Ok((train, test))
}

/// Shuffled, augmented batches for training, and plain ones for testing.
pub fn loaders(args: &Args, data: &Data) -> Result<(Loader, Loader)> {
    let corrupt_images = match args.corrupt_images {
        CorruptName::Stop => CorruptImages::Stop,
        CorruptName::Skip => CorruptImages::Skip,
    };
    let training = Augmented::new(args).of(LoaderConfig {
        batch_size: args.batch_size(),
        seed: args.seed,
        workers: args.workers,
        normalization: Some(data.normalization.clone()),
        corrupt_images,
        ..LoaderConfig::default()
    });
    let testing = LoaderConfig {
        batch_size: 250,
        workers: args.workers,
        normalization: Some(data.normalization.clone()),
        corrupt_images,
        ..LoaderConfig::evaluation()
    };
    Ok((
        Loader::new(Arc::clone(&data.train), training)?,
        Loader::new(Arc::clone(&data.test), testing)?,
    ))
}
