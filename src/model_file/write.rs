//! Writing models.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::Module;
use safetensors::tensor::{Dtype, View};

use super::contents::Stored;
use super::names::Slot;
use super::{Card, Header, KEY, LIVE, READS, VALUES, checksum};
use crate::disk::write_atomically;
use crate::error::{Error, Result, Source};
use crate::masks::Masks;
use crate::tree;

impl View for Stored {
    fn dtype(&self) -> Dtype {
        match self.dtype {
            Some(_) => Dtype::F32,
            None => Dtype::U8,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes a model with its running statistics to a safetensors file, masked weights as bits and
/// live values.
///
/// The file appears whole or not at all.
///
/// # Errors
///
/// If the file cannot be written.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::{Linear, LinearConfig}, tensor::{Device, Tensor}};
/// use zosam::model_file::{load_model, save_model};
/// use zosam::{RandomStatic, Sparsity};
/// let device = Device::flex().autodiff();
/// let mut sparsity = Sparsity::new(RandomStatic::new(0.9));
/// let layer = || LinearConfig::new(100, 10).init(&device);
/// let trained = sparsity.attach(layer(), |layer: &Linear| layer.weight.val().sum())?;
///
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("layer.safetensors");
/// save_model(&path, &trained, sparsity.masks())?;
/// let (loaded, masks) = load_model(&path, layer())?;
/// assert_eq!(loaded.weight.to_data(), trained.weight.to_data());
/// assert_eq!(masks.live_weights(), 100);
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
pub fn save_model<M: Module>(path: impl AsRef<Path>, model: &M, masks: &Masks) -> Result<()> {
    SaveOptions::new().save(path, model, masks)
}

/// How a model is written.
///
/// | option | default |
/// |---|---|
/// | [`with_card`](Self::with_card) | none: whoever loads the file has to know what it is of |
/// | [`dense`](Self::dense) | masked weights as bits and live values |
#[derive(Debug, Clone, Default)]
pub struct SaveOptions {
    card: Option<Card>,
    dense: bool,
}

impl SaveOptions {
    /// As [`save_model`] writes it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what the file says of itself.
    pub fn with_card(mut self, card: Card) -> Self {
        self.card = Some(card);
        self
    }

    /// Writes all weights with their zeros and no masks, as PyTorch knows them:
    /// `model.load_state_dict(safetensors.torch.load_file(path))`.
    pub fn dense(mut self) -> Self {
        self.dense = true;
        self
    }

    /// Writes a model with its running statistics; the file appears whole or not at all.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, or the card contradicts itself.
    pub fn save<M: Module>(&self, path: impl AsRef<Path>, model: &M, masks: &Masks) -> Result<()> {
        let path = path.as_ref();
        let none = Masks::dense();
        let masks = if self.dense { &none } else { masks };
        let unfit = |error: Source| Error::file(path, "cannot be written").caused_by(error);
        let card = match &self.card {
            Some(card) => {
                let card = card.of_saved(model, masks)?;
                Some(serde_json::to_value(card).map_err(|error| unfit(error.into()))?)
            }
            None => None,
        };
        let (tensors, shapes) = stored(model, masks);
        let parts = tensors.iter().map(|(name, stored)| {
            (
                name.as_str(),
                format!("{:?}", stored.dtype()),
                &stored.shape[..],
                &stored.bytes[..],
            )
        });
        let header = Header {
            version: READS[usize::from(card.is_some())],
            sha256: checksum(&shapes, card.as_ref(), parts),
            shapes,
            card,
        };
        let header = serde_json::to_string(&header).map_err(|error| unfit(error.into()))?;
        let metadata = HashMap::from([(KEY.to_string(), header)]);
        let bytes =
            safetensors::serialize(tensors, Some(metadata)).map_err(|error| unfit(error.into()))?;
        write_atomically(path, &bytes)
    }
}

type Shapes = BTreeMap<String, Vec<usize>>;

/// Tensors under PyTorch's names, and the shapes of masked weights.
fn stored<M: Module>(model: &M, masks: &Masks) -> (Vec<(String, Stored)>, Shapes) {
    let values: HashMap<_, _> = tree::named_tensors(model).into_iter().collect();
    let mut tensors: Vec<(String, Stored)> = Vec::new();
    let mut shapes = BTreeMap::new();
    for slot in tree::float_leaves(model).into_iter().map(Slot::new) {
        let data = &values[&slot.leaf.path];
        let all: Vec<f32> = slot.export(data.iter::<f32>().collect());
        let Some(live) = masks.live_set(slot.leaf.id) else {
            tensors.push((slot.name.clone(), Stored::floats(&all, slot.shape)));
            continue;
        };
        let live = slot.export(live);
        let values = all.iter().zip(&live).filter(|(_, live)| **live);
        let values: Vec<f32> = values.map(|(value, _)| *value).collect();
        let count = vec![values.len()];
        tensors.push((format!("{}{LIVE}", slot.name), Stored::bits(&live)));
        tensors.push((
            format!("{}{VALUES}", slot.name),
            Stored::floats(&values, count),
        ));
        shapes.insert(slot.name, slot.shape);
    }
    (tensors, shapes)
}
