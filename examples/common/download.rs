//! Image sets that are fetched when they are first needed.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::args::{DataArgs, DatasetName};

/// The folder of the images: `--data`, or with `--download` the cache, filled if need be.
pub fn folder(args: &DataArgs) -> Result<Option<PathBuf>> {
    let dataset = args.dataset();
    match args.download && dataset != DatasetName::FashionMnist {
        true => fetched(dataset, false, args.data.as_deref()).map(Some),
        false => Ok(args.data.clone()),
    }
}

/// The folder with the published corrupted images of a data set, in a folder or the cache, fetched if need be.
pub fn corruptions(dataset: DatasetName, folder: Option<&Path>) -> Result<PathBuf> {
    let name = match dataset {
        DatasetName::Cifar10 => "CIFAR-10-C",
        DatasetName::Cifar100 => "CIFAR-100-C",
        _ => bail!("--download-corruptions is for --dataset cifar10 and cifar100"),
    };
    Ok(fetched(dataset, true, folder)?.join(name))
}

#[cfg(not(feature = "network"))]
fn fetched(_dataset: DatasetName, _corrupted: bool, _folder: Option<&Path>) -> Result<PathBuf> {
    bail!("this build cannot download: run it with `cargo run --features network …`")
}

#[cfg(feature = "network")]
fn fetched(dataset: DatasetName, corrupted: bool, folder: Option<&Path>) -> Result<PathBuf> {
    use anyhow::Context;
    use indicatif::{ProgressBar, ProgressStyle};
    use zosam::data::Archive;

    let archive = match (dataset, corrupted) {
        (DatasetName::Cifar100, false) => Archive::cifar100(),
        (DatasetName::Cifar100, true) => Archive::cifar100_c(),
        (_, true) => Archive::cifar10_c(),
        (_, false) => Archive::cifar10(),
    };
    let cache = || Some(dirs::cache_dir()?.join("zosam"));
    let folder = folder.map(Path::to_path_buf).or_else(cache);
    let folder = folder.context(
        "there is no cache folder here to download to: name one by --data or --corruption-data",
    )?;
    let style = "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let bar = ProgressBar::new(archive.size)
        .with_message(archive.folder.clone())
        .with_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
    let folder = archive.fetch(&folder, |done, _| bar.set_position(done))?;
    bar.finish_and_clear();
    Ok(folder)
}
