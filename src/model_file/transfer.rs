//! Training that starts from a file.

use std::path::Path;

use burn::tensor::Device;

use super::open::open;
use super::read::into_model;
use super::{Card, Configuration};
use crate::error::{Error, Result};
use crate::masks::Masks;

/// What [`start_from`] read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Start<M> {
    /// With the file's weights.
    pub model: M,
    /// The file's masks, without those of a classifier that starts afresh.
    pub masks: Masks,
    /// What the file says of itself.
    pub card: Option<Card>,
    /// Number of classes of the file's classifier, if it is for others and therefore was not read.
    pub other_classes: Option<usize>,
    /// Whether position embeddings were resampled for another image size.
    pub resampled: bool,
}

/// A model to train, with the weights and masks of a file: for other classes, or another image size
/// where the family can be adapted.
///
/// The classifier is the model's own, random, if the file's has another number of classes, or if
/// both have names (`classes`, and those of the file's card) and these differ. Any file that
/// [`load_model`](super::load_model) reads will do.
///
/// ```
/// # #[cfg(all(feature = "flex", feature = "models"))] {
/// # use burn::tensor::Device;
/// # use zosam::masks::Masks;
/// # use zosam::model_file::{save_model, start_from};
/// # use zosam::models::ResNetConfig;
/// # let device = Device::flex().autodiff();
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("model.safetensors");
/// let small = |classes| ResNetConfig::resnet32(classes).with_depth(8).with_width(4);
/// save_model(&path, &small(10).init(&device)?, &Masks::dense())?;
/// let start = start_from(&path, &small(100), &[], &device)?;
/// assert_eq!(start.other_classes, Some(10));
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
///
/// # Errors
///
/// As [`load_model`](super::load_model), or if there is no model of this configuration.
pub fn start_from<C: Configuration>(
    path: impl AsRef<Path>,
    config: &C,
    classes: &[String],
    device: &Device,
) -> Result<Start<C::Model>> {
    let path = path.as_ref();
    let file = open(path)?;
    let card = file.card(path)?;
    let shapes = file.plain_shapes();
    let bias = C::CLASSIFIERS.first().map(|of| format!("{of}bias"));
    let outputs = bias.and_then(|bias| shapes.get(&bias)?.first().copied());
    let named = card.as_ref().map_or(&[][..], Card::classes);
    let differ = outputs != config.classes()
        || !(named.is_empty() || classes.is_empty() || named == classes);
    let other_classes = outputs.filter(|_| differ);
    let kept = match other_classes {
        Some(_) => C::CLASSIFIERS,
        None => &[],
    };
    let model = config.init_for(&shapes, device)?;
    let (model, masks) = into_model(file, path, model, kept)?;
    let before = crate::tree::float_leaves(&model);
    let model = config
        .adapted(model)
        .map_err(|error| Error::in_file(path, error))?;
    Ok(Start {
        resampled: before != crate::tree::float_leaves(&model),
        model,
        masks,
        card,
        other_classes,
    })
}
