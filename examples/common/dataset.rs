//! The images.

use anyhow::{Result, bail};
use zosam::data::{Images, Loader, LoaderConfig, cifar10, cifar100, idx_images, mnist};

use super::args::{Args, DatasetName};
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

/// Training and test images; `--limit` applies to the former.
pub fn load(args: &Args) -> Result<(Images, Images)> {
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
        (DatasetName::FashionMnist, Some(folder)) => mnist(folder)?,
        (DatasetName::FashionMnist, None) => embedded()?,
    };
    match args.limit() {
        Some(0) => bail!("--limit must be at least 1"),
        Some(limit) => Ok((train.take(limit), test)),
        None => Ok((train, test)),
    }
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
pub fn loaders(args: &Args, train: Images, test: Images) -> Result<(Loader, Loader)> {
    let normalization = Some(train.channel_statistics());
    let training = Augmented::new(args).of(LoaderConfig {
        batch_size: args.batch_size(),
        seed: args.seed,
        workers: args.workers,
        normalization: normalization.clone(),
        ..LoaderConfig::default()
    });
    let testing = LoaderConfig {
        batch_size: 250,
        workers: args.workers,
        normalization,
        ..LoaderConfig::evaluation()
    };
    Ok((Loader::new(train, training)?, Loader::new(test, testing)?))
}
