//! Writing models.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::Module;
use safetensors::tensor::{Dtype, View};

use super::names::Slot;
use super::{Header, KEY, LIVE, VALUES, VERSION, checksum};
use crate::checkpoint::write_atomically;
use crate::error::{Error, Result};
use crate::masks::Masks;
use crate::tree;

struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

impl Stored {
    fn floats(values: &[f32], shape: Vec<usize>) -> Self {
        Self {
            dtype: Dtype::F32,
            shape,
            data: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        }
    }

    fn bits(live: &[bool]) -> Self {
        let byte = |chunk: &[bool]| {
            let bits = chunk.iter().enumerate();
            bits.fold(0, |byte, (bit, live)| byte | u8::from(*live) << bit)
        };
        let data: Vec<u8> = live.chunks(8).map(byte).collect();
        Self {
            dtype: Dtype::U8,
            shape: vec![data.len()],
            data,
        }
    }
}

/// Writes a model with its running statistics to a safetensors file, masked weights as bits and live values.
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
    let path = path.as_ref();
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
        let values: Vec<f32> = all
            .iter()
            .zip(&live)
            .filter(|(_, live)| **live)
            .map(|(v, _)| *v)
            .collect();
        let count = values.len();
        tensors.push((format!("{}{LIVE}", slot.name), Stored::bits(&live)));
        tensors.push((
            format!("{}{VALUES}", slot.name),
            Stored::floats(&values, vec![count]),
        ));
        shapes.insert(slot.name, slot.shape);
    }
    let parts = tensors.iter().map(|(name, stored)| {
        (
            name.as_str(),
            format!("{:?}", stored.dtype),
            &stored.shape[..],
            &stored.data[..],
        )
    });
    let header = Header {
        version: VERSION,
        sha256: checksum(&shapes, parts),
        shapes,
    };
    let unfit =
        |error: &dyn std::fmt::Display| Error::file(path, format!("cannot be written: {error}"));
    let header = serde_json::to_string(&header).map_err(|error| unfit(&error))?;
    let metadata = HashMap::from([(KEY.to_string(), header)]);
    let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|error| unfit(&error))?;
    write_atomically(path, &bytes)
}
