//! Image sets that are fetched when they are first needed.

use std::path::PathBuf;

use anyhow::Result;

use super::args::{Args, DatasetName};

/// The folder of the images: `--data`, or with `--download` the cache, filled if need be.
pub fn folder(args: &Args) -> Result<Option<PathBuf>> {
    match args.download && args.dataset != DatasetName::FashionMnist {
        true => fetched(args).map(Some),
        false => Ok(args.data.clone()),
    }
}

#[cfg(not(feature = "network"))]
fn fetched(_args: &Args) -> Result<PathBuf> {
    anyhow::bail!(
        "--download: this build has no network: run it with `cargo run --features network …`"
    )
}

#[cfg(feature = "network")]
fn fetched(args: &Args) -> Result<PathBuf> {
    use anyhow::Context;
    use indicatif::{ProgressBar, ProgressStyle};
    use zosam::data::Archive;

    let archive = match args.dataset {
        DatasetName::Cifar100 => Archive::cifar100(),
        _ => Archive::cifar10(),
    };
    let cache = || Some(dirs::cache_dir()?.join("zosam"));
    let folder = args.data.clone().or_else(cache);
    let folder = folder.context("--download: there is no cache folder here: name one by --data")?;
    let style = "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let bar = ProgressBar::new(archive.size)
        .with_message(archive.folder.clone())
        .with_style(ProgressStyle::with_template(style)?.progress_chars("=> "));
    let folder = archive.fetch(&folder, |done, _| bar.set_position(done))?;
    bar.finish_and_clear();
    Ok(folder)
}
