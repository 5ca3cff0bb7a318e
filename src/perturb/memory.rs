//! What a perturbation knows from earlier steps.

use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ParamId};
use burn::tensor::{Bytes, Tensor as BurnTensor, TensorData};
use burn_pack::{Reader, Tensor, Writer};

use crate::error::{Error, Result, Source};
use crate::masks::Masks;
use crate::tree::{self, Leaf, ParamVector};

const NUMBERS: &str = "numbers";

/// Vectors and numbers that a perturbation keeps between steps.
///
/// Vectors are kept on the live weights only, so k of them cost k times the live weights. They
/// follow every change of masks: what died is forgotten, what was born starts at zero. The
/// optimizer owns the memory; checkpoints carry it.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Live components only.
    vectors: BTreeMap<String, ParamVector>,
    numbers: BTreeMap<String, f64>,
}

impl Memory {
    /// A vector, zero on dead weights; `None` before it is put for the first time.
    pub fn vector(&self, name: &str, masks: &Masks) -> Option<ParamVector> {
        Some(masks.scatter(self.vectors.get(name)?.clone()))
    }

    /// A vector's live components.
    pub fn live(&self, name: &str) -> Option<&ParamVector> {
        self.vectors.get(name)
    }

    /// Keeps a vector's live components under a name.
    pub fn put(&mut self, name: &str, vector: ParamVector, masks: &Masks) {
        self.put_live(name, masks.gather(vector));
    }

    /// Keeps live components under a name.
    pub fn put_live(&mut self, name: &str, live: ParamVector) {
        self.vectors.insert(name.to_string(), live);
    }

    /// A number, if it was put.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }

    /// Keeps a number under a name.
    pub fn put_number(&mut self, name: &str, number: f64) {
        self.numbers.insert(name.to_string(), number);
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty() && self.numbers.is_empty()
    }

    /// Goes from one set of masks to another.
    pub(crate) fn follow(&mut self, before: &Masks, after: &Masks) {
        for vector in self.vectors.values_mut() {
            *vector = after.gather(before.scatter(std::mem::take(vector)));
        }
    }

    /// Everything as bytes in burn's record format.
    pub(crate) fn to_bytes(&self) -> Result<Bytes> {
        let mut tensors = Vec::new();
        for (name, vector) in &self.vectors {
            for (position, (id, component)) in vector.iter().enumerate() {
                let (bytes, shape, dtype) = component.to_data().into_parts();
                let name = format!("{name}/{position}");
                tensors.push(Tensor::new(name, dtype, shape, Some(id.val()), bytes));
            }
        }
        // Text would lose the last bits of some numbers.
        let bits: BTreeMap<_, _> = self.numbers.iter().map(|(k, v)| (k, v.to_bits())).collect();
        let numbers = serde_json::to_string(&bits).map_err(unreadable)?;
        let writer = Writer::new(tensors).with_metadata(NUMBERS, &numbers);
        writer.into_bytes().map_err(unreadable)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote under the same masks.
    pub(crate) fn from_bytes<M: Module>(bytes: Bytes, model: &M, masks: &Masks) -> Result<Self> {
        let live = |leaf: &Leaf| masks.live(leaf.id).unwrap_or(leaf.len());
        // What has been frozen since may have components, too.
        let leaves = tree::float_leaves(model);
        let sizes: HashMap<_, _> = leaves.iter().map(|leaf| (leaf.id, live(leaf))).collect();
        let reader = Reader::from_bytes(bytes).map_err(unreadable)?;
        let numbers = reader
            .metadata()
            .get(NUMBERS)
            .ok_or_else(|| unfit("no numbers"))?;
        let bits: BTreeMap<String, u64> = serde_json::from_str(numbers).map_err(unreadable)?;
        let mut parts: BTreeMap<(String, usize), (ParamId, BurnTensor<1>)> = BTreeMap::new();
        let device = tree::device(model).unwrap_or_default().without_autodiff();
        for tensor in reader.into_tensors().map_err(unreadable)? {
            let (name, dtype, shape, id, bytes) = tensor.into_parts().map_err(unreadable)?;
            let id = id
                .map(ParamId::from)
                .ok_or_else(|| unfit("a vector without a parameter"))?;
            let size = shape.num_elements();
            let fits = sizes.get(&id) == Some(&size) && dtype.is_float();
            let key = name
                .rsplit_once('/')
                .and_then(|(k, n)| Some((k.to_string(), n.parse().ok()?)));
            let (Some(key), true) = (key, fits && bytes.len() == size * dtype.size()) else {
                return Err(unfit(format!("`{name}` does not fit the model")));
            };
            let data = TensorData::from_bytes_vec(bytes.to_vec(), [size], dtype);
            // Without a type burn would make a tensor of the device's default one.
            let component = BurnTensor::from_data(data, (&device, dtype));
            parts.insert(key, (id, component));
        }
        let mut vectors: BTreeMap<String, ParamVector> = BTreeMap::new();
        for ((name, _), (id, component)) in parts {
            vectors.entry(name).or_default().push(id, component);
        }
        let vectors = vectors.into_iter();
        let vectors = vectors.map(|(name, vector)| (name, tree::near(model, vector)));
        let vectors = vectors.collect();
        let numbers = bits
            .into_iter()
            .map(|(k, v)| (k, f64::from_bits(v)))
            .collect();
        Ok(Self { vectors, numbers })
    }
}

fn unreadable(source: impl Into<Source>) -> Error {
    Error::record("the perturbation's memory", source)
}

fn unfit(reason: impl ToString) -> Error {
    Error::mismatch("the perturbation's memory", reason)
}
