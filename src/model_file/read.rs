//! Reading models.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, TensorData};

use super::contents::{Contents, Origin};
use super::names::Slot;
use super::open::open;
use super::{Card, Configuration};
use crate::error::{Error, Result};
use crate::masks::{LiveSet, Masks};
use crate::tree;

/// A model that a file describes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded<C: Configuration> {
    /// Its configuration.
    pub config: C,
    /// With the file's weights.
    pub model: C::Model,
    /// Those of a sparse file.
    pub masks: Masks,
    /// What else the file says.
    pub card: Card,
}

/// Loads a file that has a [`Card`] by the configuration in it.
///
/// # Errors
///
/// As [`load_model`]; and if the file has no card, one of another family, or one that its own
/// configuration or tensors contradict.
pub fn load<C: Configuration>(path: impl AsRef<Path>, device: &Device) -> Result<Loaded<C>> {
    let path = path.as_ref();
    let file = open(path)?;
    let card = file.card(path)?.ok_or_else(|| {
        let reason = "it does not say what model it is of: make that, and use `load_model`";
        Error::file(path, reason)
    })?;
    let of_file = |error: Error| Error::in_file(path, error);
    let config: C = card.config().map_err(of_file)?;
    let model = config.init(device).map_err(of_file)?;
    let (model, masks) = into_model(file, path, model, &[])?;
    card.check_masks(&masks).map_err(of_file)?;
    Ok(Loaded {
        config,
        model,
        masks,
        card,
    })
}

/// What a file says of itself; `None` of files of others, and of those that were saved without.
///
/// # Errors
///
/// If the file is damaged, or its card is of another version.
pub fn read_card(path: impl AsRef<Path>) -> Result<Option<Card>> {
    let path = path.as_ref();
    open(path)?.card(path)
}

/// Loads a file into a model: one that [`save_model`](super::save_model) wrote, or one of
/// PyTorch's, of timm or torchvision, whose names the bundled networks share.
///
/// Safetensors and, with the feature `pytorch`, PyTorch's own checkpoints (`.pth`):
///
/// - those that keep the weights under `state_dict_ema`, `model_ema`, `state_dict`, `model`,
///   `model_state_dict` or `module`; the first of these, timm's order, with a warning if there are
///   several;
/// - those whose names have a prefix in common that the model's have not: compiled (`_orig_mod.`),
///   wrapped (`module.`), nested;
/// - models that `torch.nn.utils.prune` pruned, whose masks come along.
///
/// Returns the model and its masks; those of other files of PyTorch's are none: see
/// [`Masks::from_nonzeros`](crate::masks::Masks::from_nonzeros). Floats of 16, 32 and 64 bits
/// become the model's f32. Counters (`num_batches_tracked`, `n_averaged`) are left out. Clones of
/// the model keep their weights. A tied weight is read under the name of any of its places, and
/// under several if their tensors are equal, as PyTorch writes them.
///
/// # Errors
///
/// If the file is damaged, or a tensor is missing, left over, or of another shape; the message
/// names it and both shapes. Nothing is loaded then.
pub fn load_model<M: Module>(path: impl AsRef<Path>, model: M) -> Result<(M, Masks)> {
    load_model_except(path, model, &[])
}

/// As [`load_model`], but tensors whose name begins with one of `prefixes` keep the model's own
/// values, whatever the file has: the classifier, for other classes.
///
/// ```
/// # #[cfg(all(feature = "flex", feature = "models"))] {
/// # use burn::tensor::Device;
/// # use zosam::masks::Masks;
/// # use zosam::model_file::{load_model_except, save_model};
/// # use zosam::models::ResNetConfig;
/// # let device = Device::flex();
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("model.safetensors");
/// let small = |classes| ResNetConfig::resnet32(classes).with_depth(8).with_width(4);
/// save_model(&path, &small(10).init(&device)?, &Masks::dense())?;
/// let (model, _) = load_model_except(&path, small(100).init(&device)?, &["linear."])?;
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
///
/// # Errors
///
/// As [`load_model`].
pub fn load_model_except<M: Module>(
    path: impl AsRef<Path>,
    model: M,
    prefixes: &[&str],
) -> Result<(M, Masks)> {
    let path = path.as_ref();
    into_model(open(path)?, path, model, prefixes)
}

/// A file's contents in a model.
pub(super) fn into_model<M: Module>(
    mut file: Contents,
    path: &Path,
    model: M,
    prefixes: &[&str],
) -> Result<(M, Masks)> {
    let excepted = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let slots: Vec<Slot> = tree::float_leaves(&model)
        .into_iter()
        .map(Slot::new)
        .collect();
    file.fit(&slots.iter().flat_map(Slot::names).cloned().collect());
    let mut contents = HashMap::new();
    let (mut masked, mut sets) = (Vec::new(), Vec::new());
    let mut known = BTreeSet::new();
    for slot in slots {
        let names: Vec<&String> = slot.names().filter(|name| !excepted(name)).collect();
        if names.is_empty() {
            continue;
        }
        let read = read_tied(&file, &slot, &names);
        let (values, live) = read.map_err(|reason| Error::file(path, reason))?;
        known.extend(names.into_iter().cloned());
        let count = values.len();
        let values = slot.import(values);
        contents.insert(slot.leaf.path.clone(), TensorData::new(values, [count]));
        if let Some(live) = live {
            sets.push(slot.import(live));
            masked.push(slot.leaf);
        }
    }
    let mut left_over = file.names().filter(|name| !excepted(name));
    if let Some(name) = left_over.find(|name| !known.contains(*name)) {
        let reason = format!("tensor `{name}` is not in the model");
        return Err(Error::file(path, reason));
    }
    let masks = Masks::new(&masked, &sets);
    Ok((tree::restore(&model, &contents), masks))
}

/// The tensor of a parameter that a file has under one or several of its names.
fn read_tied(
    file: &Contents,
    slot: &Slot,
    names: &[&String],
) -> std::result::Result<(Vec<f32>, Option<LiveSet>), String> {
    let mut stored = names.iter().filter(|name| file.shape(name).is_some());
    let first = stored.next().unwrap_or(&names[0]);
    let tensor = file.read(slot, first)?;
    for other in stored {
        // Bits, so that NaN equals itself.
        let bits = |(values, live): &(Vec<f32>, Option<LiveSet>)| {
            let values = values.iter().map(|value| value.to_bits());
            (values.collect::<Vec<u32>>(), live.clone())
        };
        if bits(&file.read(slot, other)?) != bits(&tensor) {
            return Err(format!(
                "tensors `{first}` and `{other}` differ, and are one parameter of the model"
            ));
        }
    }
    Ok(tensor)
}

/// Names and shapes, PyTorch's, of a file's tensors, without a prefix that all names of a file of
/// others have in common: what to configure a model by before it is loaded.
///
/// # Errors
///
/// If the file is damaged.
pub fn shapes(path: impl AsRef<Path>) -> Result<BTreeMap<String, Vec<usize>>> {
    Ok(open(path.as_ref())?.plain_shapes())
}

impl Contents {
    /// What a file of ours says of itself.
    pub(super) fn card(&self, path: &Path) -> Result<Option<Card>> {
        match &self.origin {
            Origin::Ours(Some(card)) => {
                let card = Card::from_json(card).map_err(|fault| fault.in_file(path))?;
                Ok(Some(card))
            }
            Origin::Ours(None) | Origin::Foreign => Ok(None),
        }
    }
}
