//! The tensors of a file, whatever its format.

use std::collections::BTreeMap;

use burn::tensor::{DType, TensorData};
use serde_json::Value;

use super::names::Slot;
use super::{LIVE, VALUES};
use crate::masks::LiveSet;

/// Tensors under PyTorch's names.
pub(super) struct Contents {
    pub tensors: BTreeMap<String, Stored>,
    /// PyTorch's shapes of masked weights.
    pub shapes: BTreeMap<String, Vec<usize>>,
    pub origin: Origin,
}

/// Who wrote a file.
pub(super) enum Origin {
    /// This crate, with a card if there is one.
    Ours(Option<Value>),
    /// Somebody else: names may have a prefix in common that the model's have not.
    Foreign,
}

/// One tensor in PyTorch's order of elements, little-endian.
pub(super) struct Stored {
    pub shape: Vec<usize>,
    /// `None` for types that no model of ours has.
    pub dtype: Option<DType>,
    pub bytes: Vec<u8>,
}

impl Contents {
    /// Names of the tensors, those of a masked weight as one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.tensors.keys().map(String::as_str);
        names.map(|name| {
            let stem = name.strip_suffix(LIVE).or(name.strip_suffix(VALUES));
            stem.filter(|stem| self.shapes.contains_key(*stem))
                .unwrap_or(name)
        })
    }

    /// Names and shapes of the tensors, those of a masked weight as one.
    pub fn all_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let shape = |name: &str| Some((name.to_string(), self.shape(name)?.to_vec()));
        self.names().filter_map(shape).collect()
    }

    /// Shape of a tensor, masked or not.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let dense = || self.tensors.get(name).map(|stored| &stored.shape);
        self.shapes.get(name).or_else(dense).map(Vec::as_slice)
    }

    /// Values in PyTorch's order and, of a masked weight, the live positions.
    pub fn read(
        &self,
        slot: &Slot,
        name: &str,
    ) -> std::result::Result<(Vec<f32>, Option<LiveSet>), String> {
        let shape = self.shape(name).ok_or_else(|| missing(name))?;
        if shape != slot.shape {
            let wanted = &slot.shape;
            return Err(format!(
                "tensor `{name}` has shape {shape:?}, the model's has {wanted:?}"
            ));
        }
        if !self.shapes.contains_key(name) {
            return Ok((self.floats(name)?, None));
        }
        let bits = format!("{name}{LIVE}");
        let bits = self.tensors.get(&bits).ok_or_else(|| missing(&bits))?;
        let values = self.floats(&format!("{name}{VALUES}"))?;
        let len = slot.leaf.len();
        if bits.bytes.len() != len.div_ceil(8) {
            return Err(format!(
                "`{name}{LIVE}` has {} bytes for {len} weights",
                bits.bytes.len()
            ));
        }
        let live: LiveSet = (0..len)
            .map(|i| bits.bytes[i / 8] >> (i % 8) & 1 == 1)
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

    pub fn floats(&self, name: &str) -> std::result::Result<Vec<f32>, String> {
        let stored = self.tensors.get(name).ok_or_else(|| missing(name))?;
        let Some(dtype) = stored.dtype.filter(DType::is_float) else {
            return Err(format!(
                "tensor `{name}` does not hold floats of 16 to 64 bits"
            ));
        };
        let count: usize = stored.shape.iter().product();
        if stored.bytes.len() != count * dtype.size() {
            let bytes = stored.bytes.len();
            return Err(format!(
                "tensor `{name}` has {bytes} bytes for {count} numbers"
            ));
        }
        let data = TensorData::from_bytes_vec(stored.bytes.clone(), [count], dtype);
        Ok(data.iter::<f32>().collect())
    }
}

impl Stored {
    pub fn floats(values: &[f32], shape: Vec<usize>) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        Self {
            dtype: Some(DType::F32),
            shape,
            bytes: bytes.collect(),
        }
    }

    /// One bit per position, the lowest first.
    pub fn bits(live: &[bool]) -> Self {
        let byte = |chunk: &[bool]| {
            let bits = chunk.iter().enumerate();
            bits.fold(0, |byte, (bit, live)| byte | u8::from(*live) << bit)
        };
        let bytes: Vec<u8> = live.chunks(8).map(byte).collect();
        Self {
            dtype: None,
            shape: vec![bytes.len()],
            bytes,
        }
    }
}

fn missing(name: &str) -> String {
    format!("it has no tensor `{name}`")
}
