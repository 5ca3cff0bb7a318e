//! What a checkpoint keeps.

use burn::module::Module;
use burn::tensor::Bytes;

use super::history::History;
use super::latent::Latent;
use super::layer_rules::LayerRule;
use super::weights::{is_sparse, read_weights};
use super::work::Work;
use super::{Sparsity, device_of};
use crate::error::{Error, Result};
use crate::masks::{LiveSet, Masks};
use crate::sparse::parts::Training;
use crate::tree::{self, Leaf, ParamVector};

/// A [`Sparsity`] as bytes and JSON; see [`Sparsity::to_parts`].
#[derive(Debug, Clone)]
pub struct SparsityParts {
    /// The masks, in burn's record format.
    pub masks: Bytes,
    /// What was live before, and remembered gradients, in burn's record format.
    pub history: Bytes,
    /// The method's state.
    pub method: serde_json::Value,
    /// What training has cost.
    pub work: Work,
}

/// What parts say of a model, before any of it is taken over.
pub(crate) struct Read {
    masks: Masks,
    history: History,
    latent: Option<Latent>,
    rules: Vec<LayerRule>,
    targets: Vec<Option<f64>>,
    method: serde_json::Value,
    work: Work,
}

impl Read {
    pub(crate) fn masks(&self) -> &Masks {
        &self.masks
    }
}

impl Sparsity {
    /// The masks, what was live before and the method's memory, for a checkpoint.
    ///
    /// # Errors
    ///
    /// If a record cannot be written.
    pub fn to_parts(&self) -> Result<SparsityParts> {
        let leaves: Vec<Leaf> = self.masks.leaves().cloned().collect();
        Ok(SparsityParts {
            masks: self.masks.clone().into_bytes()?,
            history: self.history.to_bytes(&leaves, self.latent.as_ref())?,
            method: self.method.state(),
            work: self.work.clone(),
        })
    }

    /// Takes over what [`to_parts`](Self::to_parts) returned, instead of
    /// [`attach`](Self::attach).
    ///
    /// # Errors
    ///
    /// If they belong to another model, selection or method.
    pub fn load_parts<M: Module>(&mut self, model: &M, parts: SparsityParts) -> Result<()> {
        let read = self.read_parts(model, parts)?;
        self.take_over(read)
    }

    /// The first half of [`load_parts`](Self::load_parts), which changes nothing.
    pub(crate) fn read_parts<M: Module>(&self, model: &M, parts: SparsityParts) -> Result<Read> {
        self.method.validate()?;
        let device = device_of(model);
        let leaves = masked_leaves(model, &parts.history)?;
        let rules = self.rules.settle(&leaves, &self.plan)?;
        let targets = self.target_densities(&leaves, &rules)?;
        let masks = Masks::from_bytes(parts.masks, &leaves)?;
        let (mut history, latent) = History::from_bytes(parts.history, &leaves, &device)?;
        history.gradient = tree::near(model, history.gradient);
        let latent = latent.map(|(values, sets)| (tree::near(model, values), sets));
        self.check_selection(model, &masks, &history)?;
        let latent = self.restored(latent, model, &leaves, &masks, &rules)?;
        history.check_rewind_point(model)?;
        Ok(Read {
            masks,
            history,
            latent,
            rules,
            targets,
            method: parts.method,
            work: parts.work,
        })
    }

    /// The second half, which changes everything or, if the method refuses its memory, nothing.
    pub(crate) fn take_over(&mut self, read: Read) -> Result<()> {
        self.method.load_state(read.method)?;
        self.plan = self.method.plan();
        self.masks = read.masks;
        self.history = read.history;
        self.latent = read.latent;
        self.work = read.work;
        self.settled = read.rules;
        self.targets = read.targets;
        self.frozen = Vec::new();
        self.attached = true;
        Ok(())
    }

    /// Checks that the weights with masks are those that are to be sparse. What is frozen now
    /// counts as well, but what was frozen when masks were chosen has none, and given masks say
    /// themselves what is sparse.
    fn check_selection<M: Module>(
        &self,
        model: &M,
        masks: &Masks,
        history: &History,
    ) -> Result<()> {
        if !self.plan.masks || history.progress.given {
            return Ok(());
        }
        let group = self.group.as_ref();
        let other = |leaf: &Leaf, which: &str| {
            Error::mismatch(
                "the selection of sparse weights",
                format!("`{}` {which}", leaf.path),
            )
        };
        if let Some(leaf) = masks.leaves().find(|leaf| !is_sparse(group, leaf)) {
            return Err(other(leaf, "has a saved mask and is not one of them"));
        }
        let left_out = &history.progress.left_out;
        let without = |leaf: &Leaf| !masks.contains(leaf.id) && !left_out.contains(&leaf.path);
        let mut trainable = tree::leaves(model).into_iter();
        match trainable.find(|leaf| is_sparse(group, leaf) && without(leaf)) {
            None => Ok(()),
            Some(leaf) => Err(other(&leaf, "is one of them and has no saved mask")),
        }
    }

    /// The latent values of a checkpoint, where the method has such.
    fn restored<M: Module>(
        &self,
        stored: Option<(ParamVector, Vec<LiveSet>)>,
        model: &M,
        leaves: &[Leaf],
        masks: &Masks,
        rules: &[LayerRule],
    ) -> Result<Option<Latent>> {
        let live_now = |leaf: &Leaf| masks.live_set(leaf.id);
        let weights = read_weights(&tree::float_values(model), leaves, rules, live_now)?;
        let live: Vec<LiveSet> = weights.iter().map(|weight| weight.live.clone()).collect();
        // Only the decays of this are of use: the sets were chosen by the values of another step.
        let training = self.method.training(&weights, &live)?;
        match (training, stored) {
            (Some(training), Some((values, sets))) => {
                let training = Training { sets, ..training };
                Ok(Some(Latent::new(values, training, leaves)))
            }
            (None, None) => Ok(None),
            (wanted, _) => Err(Error::mismatch(
                "the history of the masks",
                match wanted {
                    Some(_) => "it holds no latent values, which the method needs".to_string(),
                    None => "it holds latent values, which the method does not have".to_string(),
                },
            )),
        }
    }
}

/// The weights of a model that have a saved mask, in its order, frozen or not.
fn masked_leaves<M: Module>(model: &M, history: &Bytes) -> Result<Vec<Leaf>> {
    let paths = History::masked_paths(history)?;
    let mut leaves = tree::float_leaves(model);
    leaves.retain(|leaf| paths.contains(&leaf.path));
    let known = |path: &&String| leaves.iter().any(|leaf| leaf.path == **path);
    match paths.iter().find(|path| !known(path)) {
        None => Ok(leaves),
        Some(path) => Err(Error::mismatch(
            "the history of the masks",
            format!("the model has no parameter `{path}`"),
        )),
    }
}
