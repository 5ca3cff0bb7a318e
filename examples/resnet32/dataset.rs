//! The images.

use anyhow::{Context, Result, bail};
use zosam::data::{Augmentation, Images, Loader, LoaderConfig, cifar10, idx, mnist};

use crate::args::{Args, DatasetName};

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
    let (train, test) = match (args.dataset, &args.data) {
        (DatasetName::Cifar10, Some(folder)) => cifar10(folder)?,
        (DatasetName::Cifar10, None) => bail!(
            "--dataset cifar10 needs --data DIR, the folder with cifar-10-batches-bin (binary version)"
        ),
        (DatasetName::FashionMnist, Some(folder)) => mnist(folder)?,
        (DatasetName::FashionMnist, None) => embedded()?,
    };
    match args.limit {
        Some(0) => bail!("--limit must be at least 1"),
        Some(limit) => Ok((train.take(limit), test)),
        None => Ok((train, test)),
    }
}

/// A balanced sample of Fashion-MNIST (Zalando Research, MIT licence): 6,000 and 1,000 images.
fn embedded() -> Result<(Images, Images)> {
    let train = idx::from_bytes(
        "fashion-mnist train",
        asset!("train-images-idx3-ubyte.gz"),
        asset!("train-labels-idx1-ubyte.gz"),
    );
    let test = idx::from_bytes(
        "fashion-mnist test",
        asset!("t10k-images-idx3-ubyte.gz"),
        asset!("t10k-labels-idx1-ubyte.gz"),
    );
    Ok((
        train.context("the embedded images")?,
        test.context("the embedded images")?,
    ))
}

/// Shuffled, augmented batches for training, and plain ones for testing.
pub fn loaders(args: &Args, train: Images, test: Images) -> Result<(Loader, Loader)> {
    let normalization = train.channel_statistics();
    let config = LoaderConfig {
        batch_size: args.batch_size,
        seed: args.seed,
        workers: args.workers,
        shuffle: true,
        augmentation: Augmentation::default(),
        normalization: normalization.clone(),
        drop_last: false,
    };
    let plain = LoaderConfig {
        shuffle: false,
        augmentation: Augmentation::none(),
        batch_size: args.batch_size.max(250),
        ..config.clone()
    };
    Ok((Loader::new(train, config)?, Loader::new(test, plain)?))
}
