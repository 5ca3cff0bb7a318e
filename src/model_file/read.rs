//! Reading models.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorView};

use super::names::Slot;
use super::{LIVE, SHAPES_KEY, SUM_KEY, VALUES, VERSION, VERSION_KEY, checksum};
use crate::error::{Error, Result};
use crate::masks::{LiveSet, Masks};
use crate::tree;

/// Loads a safetensors file into a model: one that [`save_model`](super::save_model) wrote, or one of PyTorch's, of timm
/// or torchvision, whose names the bundled networks share.
///
/// Returns the model and its masks; those of PyTorch's files are none. Floats of 16, 32 and 64 bits become the model's
/// f32. Counters of batches (`num_batches_tracked`) are left out. Clones of the model keep their weights.
///
/// # Errors
///
/// If the file is damaged, or a tensor is missing, left over, or of another shape; the message names it and both shapes.
/// Nothing is loaded then.
pub fn load_model<M: Module>(path: impl AsRef<Path>, model: M) -> Result<(M, Masks)> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    let file = File::parse(&bytes).map_err(|reason| Error::file(path, reason))?;
    let mut contents = HashMap::new();
    let (mut masked, mut sets) = (Vec::new(), Vec::new());
    let mut known = BTreeSet::new();
    for slot in tree::float_leaves(&model).into_iter().map(Slot::new) {
        let (values, live) = file
            .read(&slot)
            .map_err(|reason| Error::file(path, reason))?;
        known.insert(slot.name.clone());
        let count = values.len();
        let values = slot.import(values);
        contents.insert(slot.leaf.path.clone(), TensorData::new(values, [count]));
        if let Some(live) = live {
            sets.push(slot.import(live));
            masked.push(slot.leaf);
        }
    }
    if let Some(name) = file.names().find(|name| !known.contains(*name)) {
        let reason = format!("tensor `{name}` is not in the model");
        return Err(Error::file(path, reason));
    }
    let device = tree::device(&model).unwrap_or_default();
    let masks = Masks::new(&masked, &sets, &device);
    Ok((tree::restore(&model, &contents), masks))
}

/// A file whose sum, if it has one, is right.
struct File<'a> {
    tensors: SafeTensors<'a>,
    /// PyTorch's shapes of masked weights.
    shapes: HashMap<String, Vec<usize>>,
}

impl<'a> File<'a> {
    fn parse(bytes: &'a [u8]) -> std::result::Result<Self, String> {
        let refused = |error| format!("not a safetensors file: {error}");
        let (_, header): (usize, Metadata) = SafeTensors::read_metadata(bytes).map_err(refused)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(refused)?;
        let none = HashMap::new();
        let metadata = header.metadata().as_ref().unwrap_or(&none);
        let ours = |key: &str| key.starts_with(VERSION_KEY);
        let parts = |name: &str| name.ends_with(LIVE) || name.ends_with(VALUES);
        let Some(version) = metadata.get(VERSION_KEY) else {
            return match metadata.keys().any(|key| ours(key))
                || tensors.names().iter().any(|n| parts(n))
            {
                true => Err("its metadata has no version".to_string()),
                false => Ok(Self {
                    tensors,
                    shapes: HashMap::new(),
                }),
            };
        };
        if version != VERSION {
            return Err(format!(
                "it has version {version}, this crate reads {VERSION}"
            ));
        }
        let of = |key: &str| {
            metadata
                .get(key)
                .ok_or(format!("its metadata has no `{key}`"))
        };
        let shapes = of(SHAPES_KEY)?;
        let views: Vec<(&str, TensorView)> = tensors.iter().collect();
        let parts = views.iter().map(|(name, view)| {
            (
                *name,
                format!("{:?}", view.dtype()),
                view.shape(),
                view.data(),
            )
        });
        if checksum(shapes, parts) != *of(SUM_KEY)? {
            return Err(
                "its contents do not have the SHA-256 that it names: it is damaged".to_string(),
            );
        }
        let shapes = serde_json::from_str(shapes).map_err(|error| error.to_string())?;
        Ok(Self { tensors, shapes })
    }

    /// Names of the tensors, those of a masked weight as one.
    fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.tensors.names().into_iter();
        names
            .filter(|name| !name.ends_with("num_batches_tracked"))
            .map(|name| {
                let stem = name.strip_suffix(LIVE).or(name.strip_suffix(VALUES));
                stem.filter(|stem| self.shapes.contains_key(*stem))
                    .unwrap_or(name)
            })
    }

    /// Values in PyTorch's order and, of a masked weight, the live positions.
    fn read(&self, slot: &Slot) -> std::result::Result<(Vec<f32>, Option<LiveSet>), String> {
        let name = &slot.name;
        let Some(shape) = self.shapes.get(name) else {
            let view = self
                .tensors
                .tensor(name)
                .map_err(|_| format!("it has no tensor `{name}`"))?;
            fits(name, view.shape(), &slot.shape)?;
            return Ok((floats(name, &view)?, None));
        };
        fits(name, shape, &slot.shape)?;
        let part = |suffix: &str| {
            let part = format!("{name}{suffix}");
            let view = self.tensors.tensor(&part);
            view.map_err(|_| format!("it has no tensor `{part}`"))
        };
        let bits = part(LIVE)?;
        let values = floats(name, &part(VALUES)?)?;
        let len = slot.leaf.len();
        if bits.data().len() != len.div_ceil(8) {
            return Err(format!(
                "`{name}{LIVE}` has {} bytes for {len} weights",
                bits.data().len()
            ));
        }
        let live: LiveSet = (0..len)
            .map(|i| bits.data()[i / 8] >> (i % 8) & 1 == 1)
            .collect();
        let count = crate::masks::count(&live);
        if count != values.len() {
            return Err(format!(
                "`{name}` has {count} live weights and {} values",
                values.len()
            ));
        }
        let mut values = values.into_iter();
        let mut value = |live: &bool| if *live { values.next() } else { None };
        let all = live.iter().map(|live| value(live).unwrap_or(0.0)).collect();
        Ok((all, Some(live)))
    }
}

fn fits(name: &str, found: &[usize], wanted: &[usize]) -> std::result::Result<(), String> {
    match found == wanted {
        true => Ok(()),
        false => Err(format!(
            "tensor `{name}` has shape {found:?}, the model's has {wanted:?}"
        )),
    }
}

fn floats(name: &str, view: &TensorView) -> std::result::Result<Vec<f32>, String> {
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        other => {
            return Err(format!(
                "tensor `{name}` is of type {other:?}, not of floats"
            ));
        }
    };
    let count: usize = view.shape().iter().product();
    let data = TensorData::from_bytes_vec(view.data().to_vec(), [count], dtype);
    Ok(data.iter::<f32>().collect())
}
