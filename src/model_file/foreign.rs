//! What training programs do to names and weights before PyTorch writes them.

use std::collections::{BTreeMap, BTreeSet};

use super::contents::{Contents, Origin, Stored};
use super::{LIVE, VALUES};

/// What `torch.nn.utils.prune` makes of a weight: `weight = weight_orig · weight_mask`.
const ORIGINAL: &str = "_orig";
const MASK: &str = "_mask";

impl Contents {
    /// The tensors of a file that is not of ours: counters are left out, pruned weights become
    /// masked ones.
    pub(super) fn foreign(mut tensors: BTreeMap<String, Stored>) -> Result<Self, String> {
        tensors.retain(|name, _| !is_counter(name));
        let mut contents = Self {
            tensors,
            shapes: BTreeMap::new(),
            origin: Origin::Foreign,
        };
        let originals = contents.tensors.keys();
        let stem = |name: &String| name.strip_suffix(ORIGINAL).map(str::to_string);
        let stems: Vec<String> = originals.filter_map(stem).collect();
        for name in stems {
            contents.join(name)?;
        }
        Ok(contents)
    }

    /// Makes a masked weight of an original and its mask, if it has one.
    fn join(&mut self, name: String) -> Result<(), String> {
        let [original, mask] = [ORIGINAL, MASK].map(|part| format!("{name}{part}"));
        let (Some(weight), Some(bits)) = (self.tensors.get(&original), self.tensors.get(&mask))
        else {
            return Ok(());
        };
        if weight.shape != bits.shape {
            let (weight, bits) = (&weight.shape, &bits.shape);
            return Err(format!(
                "`{original}` has shape {weight:?}, `{mask}` {bits:?}"
            ));
        }
        let shape = weight.shape.clone();
        let (weight, bits) = (self.floats(&original)?, self.floats(&mask)?);
        if let Some(other) = bits.iter().find(|bit| **bit != 0.0 && **bit != 1.0) {
            return Err(format!("`{mask}` has a {other}; expected 0 and 1"));
        }
        let live: Vec<bool> = bits.iter().map(|bit| *bit == 1.0).collect();
        let values = weight.iter().zip(&live).filter(|(_, live)| **live);
        let values: Vec<f32> = values.map(|(value, _)| *value).collect();
        self.tensors.remove(&original);
        self.tensors.remove(&mask);
        self.tensors
            .insert(format!("{name}{LIVE}"), Stored::bits(&live));
        let count = vec![values.len()];
        self.tensors
            .insert(format!("{name}{VALUES}"), Stored::floats(&values, count));
        self.shapes.insert(name, shape);
        Ok(())
    }

    /// Takes off what all names begin with (`module.`, `_orig_mod.`, `model.`), part by part, until
    /// one is among the model's.
    pub(super) fn fit(&mut self, model: &BTreeSet<String>) {
        if matches!(self.origin, Origin::Ours(_)) {
            return;
        }
        while !self.names().any(|name| model.contains(name)) {
            let Some(prefix) = shared_prefix(self.names()) else {
                return;
            };
            self.strip(&prefix);
        }
    }

    /// Names and shapes of the tensors, without what the names of a file of others have in common.
    pub(super) fn plain_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let mut shapes = self.all_shapes();
        while matches!(self.origin, Origin::Foreign) && shapes.len() > 1 {
            let Some(prefix) = shared_prefix(shapes.keys().map(String::as_str)) else {
                break;
            };
            let short = |name: String| name[prefix.len()..].to_string();
            shapes = shapes
                .into_iter()
                .map(|(name, shape)| (short(name), shape))
                .collect();
        }
        shapes
    }

    fn strip(&mut self, prefix: &str) {
        let short = |name: String| name.strip_prefix(prefix).unwrap_or(&name).to_string();
        let tensors = std::mem::take(&mut self.tensors).into_iter();
        self.tensors = tensors
            .map(|(name, stored)| (short(name), stored))
            .collect();
        let shapes = std::mem::take(&mut self.shapes).into_iter();
        self.shapes = shapes.map(|(name, shape)| (short(name), shape)).collect();
    }
}

/// The first part of the names, with its dot, if it is the same for all.
fn shared_prefix<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
    let (first, _) = names.next()?.split_once('.')?;
    let prefix = format!("{first}.");
    names
        .all(|name| name.starts_with(&prefix))
        .then_some(prefix)
}

/// Batches that a norm has seen, models that an average is of: what no model of ours counts.
fn is_counter(name: &str) -> bool {
    let last = name.rsplit('.').next();
    last == Some("num_batches_tracked") || name == "n_averaged"
}
