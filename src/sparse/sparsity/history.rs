//! What a method has tried so far.

use std::collections::{HashMap, HashSet};

use burn::module::Module;
use burn::tensor::{Bytes, DType, Tensor as BurnTensor, TensorData};
use burn_pack::{Reader, Tensor, Writer};

use super::latent::Latent;
use super::progress::Progress;
use crate::error::{Error, Result, Source};
use crate::masks::LiveSet;
use crate::tree::{self, Leaf, ParamVector};

const REWIND: &str = "rewind/";
const GRADIENT: &str = "gradient";
const LATENT: &str = "latent";
const MOVED: &str = "moved";
const START: &str = "start";
const PROGRESS: &str = "progress";

/// Latent values, and the positions that are moved.
pub(super) type Stored = (ParamVector, Vec<LiveSet>);

/// Live sets of the past, and the remembered gradient.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// The first live sets, one per weight.
    pub start: Vec<LiveSet>,
    /// The live sets before the last change of masks.
    pub before: Vec<LiveSet>,
    /// Positions that were ever live.
    pub ever: Vec<LiveSet>,
    /// The gradients that the method asked to remember.
    pub gradient: ParamVector,
    /// All float tensors of the model at the step to rewind to, flat, by path; empty before it.
    pub rewind: HashMap<String, TensorData>,
    pub progress: Progress,
}

impl History {
    /// A history that begins with these live sets.
    pub fn new(live: &[LiveSet]) -> Self {
        Self {
            start: live.to_vec(),
            before: live.to_vec(),
            ever: live.to_vec(),
            gradient: ParamVector::default(),
            rewind: HashMap::new(),
            progress: Progress::default(),
        }
    }

    /// Takes note of a change of masks.
    pub fn change(&mut self, before: Vec<LiveSet>, now: &[LiveSet]) {
        self.before = before;
        for (ever, now) in self.ever.iter_mut().zip(now) {
            for (ever, now) in ever.iter_mut().zip(now) {
                *ever |= now;
            }
        }
    }

    /// Everything as bytes, under the weights' paths.
    pub fn to_bytes(&self, leaves: &[Leaf], latent: Option<&Latent>) -> Result<Bytes> {
        let mut tensors = Vec::new();
        let moved = latent.map(|latent| (MOVED, &latent.training.sets[..]));
        for (set, live_sets) in self.sets().into_iter().chain(moved) {
            for (leaf, live) in leaves.iter().zip(live_sets) {
                let bytes: Vec<u8> = live.iter().map(|live| u8::from(*live)).collect();
                let data = TensorData::new(bytes, [live.len()]);
                tensors.push(packed(format!("{set}/{}", leaf.path), data));
            }
        }
        let nothing = ParamVector::default();
        let values = latent.map_or(&nothing, |latent| &latent.values);
        for (kind, vector) in [(GRADIENT, &self.gradient), (LATENT, values)] {
            for leaf in leaves {
                if let Some(component) = vector.get(leaf.id) {
                    let data = component.to_data();
                    tensors.push(packed(format!("{kind}/{}", leaf.path), data));
                }
            }
        }
        for (path, data) in &self.rewind {
            tensors.push(packed(format!("{REWIND}{path}"), data.clone()));
        }
        let progress = serde_json::to_string(&self.progress).map_err(unreadable)?;
        let writer = Writer::new(tensors).with_metadata(PROGRESS, &progress);
        writer.into_bytes().map_err(unreadable)
    }

    /// The paths of the weights whose history this is.
    pub fn masked_paths(bytes: &Bytes) -> Result<HashSet<String>> {
        let reader = Reader::from_bytes(bytes.clone()).map_err(unreadable)?;
        let tensors = reader.into_tensors().map_err(unreadable)?.into_iter();
        let path = |name: &str| Some(name.strip_prefix(START)?.strip_prefix('/')?.to_string());
        Ok(tensors.filter_map(|tensor| path(&tensor.name)).collect())
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote for the same weights.
    pub fn from_bytes(
        bytes: Bytes,
        leaves: &[Leaf],
        device: &burn::tensor::Device,
    ) -> Result<(Self, Option<Stored>)> {
        let reader = Reader::from_bytes(bytes).map_err(unreadable)?;
        let progress = match reader.metadata().get(PROGRESS) {
            Some(progress) => serde_json::from_str(progress).map_err(unreadable)?,
            None => Progress::of_an_early_checkpoint(),
        };
        let mut stored = HashMap::new();
        for tensor in reader.into_tensors().map_err(unreadable)? {
            let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(unreadable)?;
            stored.insert(name, (dtype, shape, bytes.to_vec()));
        }
        let set = |name: &str| -> Result<Vec<LiveSet>> {
            let one = |leaf: &Leaf| {
                let key = format!("{name}/{}", leaf.path);
                let stored = stored.get(&key).filter(|(_, _, b)| b.len() == leaf.len());
                let (_, _, bytes) = stored.ok_or_else(|| unfit(format!("no `{key}` that fits")))?;
                Ok(bytes.iter().map(|byte| *byte != 0).collect())
            };
            leaves.iter().map(one).collect()
        };
        let vector = |kind: &str| -> Result<ParamVector> {
            let mut vector = ParamVector::default();
            for leaf in leaves {
                let key = format!("{kind}/{}", leaf.path);
                let Some((dtype, shape, bytes)) = stored.get(&key) else {
                    continue;
                };
                let fits = dtype.is_float() && shape.num_elements() == leaf.len();
                if !fits || bytes.len() != leaf.len() * dtype.size() {
                    return Err(unfit(format!("`{key}` does not fit")));
                }
                let data = TensorData::from_bytes_vec(bytes.clone(), [leaf.len()], *dtype);
                let device = device.clone().without_autodiff();
                // Without a type burn would make a tensor of the device's default one.
                vector.push(leaf.id, BurnTensor::from_data(data, (&device, *dtype)));
            }
            Ok(vector)
        };
        let gradient = vector(GRADIENT)?;
        let values = vector(LATENT)?;
        let latent = match values.iter().count() {
            0 => None,
            count if count == leaves.len() => Some((values, set(MOVED)?)),
            _ => return Err(unfit("latent values of some weights only")),
        };
        let mut rewind = HashMap::new();
        for (key, (dtype, shape, bytes)) in &stored {
            let Some(path) = key.strip_prefix(REWIND) else {
                continue;
            };
            if !dtype.is_float() || bytes.len() != shape.num_elements() * dtype.size() {
                return Err(unfit(format!("`{key}` does not fit")));
            }
            let data = TensorData::from_bytes_vec(bytes.clone(), [shape.num_elements()], *dtype);
            rewind.insert(path.to_string(), data);
        }
        let history = Self {
            start: set(START)?,
            before: set("before")?,
            ever: set("ever")?,
            gradient,
            rewind,
            progress,
        };
        Ok((history, latent))
    }

    /// The point to rewind to, but for what has been frozen since.
    pub fn rewind_of<M: Module>(&self, model: &M) -> HashMap<String, TensorData> {
        let trainable: HashSet<String> = tree::leaves(model)
            .into_iter()
            .map(|leaf| leaf.path)
            .collect();
        let frozen =
            |path: &String| self.progress.rewound.contains(path) && !trainable.contains(path);
        let tensors = self.rewind.iter().filter(|(path, _)| !frozen(path));
        tensors
            .map(|(path, data)| (path.clone(), data.clone()))
            .collect()
    }

    /// Checks that the rewind point, if there is one, has every tensor of the model.
    pub fn check_rewind_point<M: Module>(&self, model: &M) -> Result<()> {
        if self.rewind.is_empty() {
            return Ok(());
        }
        for (path, data) in tree::named_tensors(model) {
            let stored = self.rewind.get(&path);
            if stored.is_none_or(|stored| stored.num_elements() != data.num_elements()) {
                return Err(unfit(format!("no `{REWIND}{path}` that fits")));
            }
        }
        Ok(())
    }

    fn sets(&self) -> [(&'static str, &[LiveSet]); 3] {
        [
            (START, &self.start),
            ("before", &self.before),
            ("ever", &self.ever),
        ]
    }
}

fn packed(name: String, data: TensorData) -> Tensor {
    let (bytes, shape, dtype): (Bytes, _, DType) = data.into_parts();
    Tensor::new(name, dtype, shape, None, bytes)
}

fn unreadable(source: impl Into<Source>) -> Error {
    Error::record("the history of the masks", source)
}

fn unfit(reason: impl ToString) -> Error {
    Error::mismatch("the history of the masks", reason)
}
