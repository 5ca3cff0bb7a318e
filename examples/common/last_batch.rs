//! The last batch of an epoch, if it is too small for batch norm.

use anyhow::{Result, ensure};
use burn::module::Module;
use zosam::compile::Uses;
use zosam::data::{Loader, LoaderConfig};
use zosam::tree;

/// The loader without a last batch that would leave batch norm one value per channel, whose variance is none.
///
/// `uses` are those of the images' size.
///
/// # Errors
///
/// If all batches are such.
pub fn without_single_values<M: Module>(loader: Loader, model: &M, uses: &Uses) -> Result<Loader> {
    let leaves = tree::leaves(model);
    let normed = leaves.iter().any(|leaf| leaf.layer == "BatchNorm");
    let convs = leaves.iter().filter(|leaf| leaf.shape.len() == 4);
    let positions = convs.filter_map(|leaf| uses.of_path(&leaf.path)).min();
    if !normed || positions != Some(1) {
        return Ok(loader);
    }
    let (images, batch) = (loader.images().len(), loader.config().batch_size);
    ensure!(
        batch > 1,
        "--batch-size 1 leaves batch norm one value per channel, because images shrink to one position: it must be at least 2"
    );
    if images % batch != 1 {
        return Ok(loader);
    }
    ensure!(
        images > 1,
        "one image leaves batch norm one value per channel: there must be at least 2"
    );
    eprintln!(
        "warning: the last batch of each epoch is left out: its one image would leave batch norm one value per channel ({images} images in batches of {batch})"
    );
    let config = LoaderConfig {
        drop_last: true,
        ..loader.config().clone()
    };
    Ok(loader.with_config(config)?)
}
