//! Which weights are live.
//!
//! One mask per sparse weight, under that weight's parameter id. A weight without a mask is dense.
//! This is the only place that says what is live: layers hold no masks, and weights are zero at
//! dead positions because they are projected, never the other way round (a live weight may be
//! exactly zero, right after it was regrown).

mod beside;
mod on_devices;
mod scope;
mod whole;

pub use scope::Execution;
pub(crate) use scope::Scope;

use std::any::Any;
use std::sync::Arc;

use beside::Beside;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Bool, Bytes, IndexingUpdateOp, Tensor};
use on_devices::{OnDevices, dead};
use sha2::{Digest, Sha256};
use whole::Whole;

use crate::error::{Error, Result, Source};
use crate::tree::{self, Leaf, ParamVector};

/// Which positions of one weight are live, in the order of its elements.
pub type LiveSet = Vec<bool>;

/// The mask of one weight.
#[derive(Debug, Clone)]
struct Mask {
    leaf: Leaf,
    /// The truth; what devices hold is made of it.
    live: Arc<LiveSet>,
    count: usize,
    on_devices: Arc<OnDevices>,
    /// What layers make of this mask, dropped with it.
    #[cfg(feature = "flex")]
    beside: Arc<Beside>,
    /// What layers keep about the weight, whatever its mask.
    lasting: Arc<Beside>,
}

impl Mask {
    fn new(leaf: Leaf, live: LiveSet) -> Self {
        assert_eq!(leaf.len(), live.len(), "a live set covers its weight");
        Self {
            leaf,
            count: count(&live),
            live: Arc::new(live),
            on_devices: Arc::default(),
            #[cfg(feature = "flex")]
            beside: Arc::default(),
            lasting: Arc::default(),
        }
    }

    /// A vector's component, zero where the weight is dead.
    fn fill(&self, component: Tensor<1>) -> Tensor<1> {
        let dead = self.on_devices.dead(&self.live, &component.device());
        component.mask_fill(dead, 0.0)
    }

    fn gather(&self, component: Tensor<1>) -> Tensor<1> {
        let positions = self.on_devices.positions(&self.live, &component.device());
        component.select(0, positions)
    }

    fn scatter(&self, live: Tensor<1>) -> Tensor<1> {
        let positions = self.on_devices.positions(&self.live, &live.device());
        let zeros = Tensor::zeros([self.leaf.len()], (&live.device(), live.dtype()));
        zeros.select_assign(0, positions, live, IndexingUpdateOp::Add)
    }
}

/// The masks of a model.
#[derive(Debug, Clone, Default)]
pub struct Masks {
    masks: Vec<Mask>,
    whole: Arc<Whole>,
}

/// How masks are stored: a burn module whose parameters carry the ids of the weights they belong
/// to.
#[derive(Module, Debug)]
struct MaskRecord {
    dead: Vec<Param<Tensor<1, Bool>>>,
}

impl Masks {
    /// No masks: every weight is live.
    pub fn dense() -> Self {
        Self::default()
    }

    /// Masks from live sets, one per leaf.
    pub(crate) fn new(leaves: &[Leaf], live_sets: &[LiveSet]) -> Self {
        let pairs = leaves.iter().zip(live_sets);
        Self {
            masks: pairs
                .map(|(leaf, live)| Mask::new(leaf.clone(), live.clone()))
                .collect(),
            whole: Arc::default(),
        }
    }

    /// Whether no weight is masked.
    pub fn is_dense(&self) -> bool {
        self.masks.is_empty()
    }

    /// The masked weights.
    pub fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        self.masks.iter().map(|mask| &mask.leaf)
    }

    /// Whether a parameter has a mask.
    pub fn contains(&self, id: ParamId) -> bool {
        self.get(id).is_some()
    }

    /// Number of live weights of a masked parameter; `None` without a mask.
    pub fn live(&self, id: ParamId) -> Option<usize> {
        self.get(id).map(|mask| mask.count)
    }

    /// Number of live weights over all masks.
    pub fn live_weights(&self) -> usize {
        self.masks.iter().map(|mask| mask.count).sum()
    }

    /// Number of weights, live or dead, over all masks.
    pub fn prunable_weights(&self) -> usize {
        self.leaves().map(Leaf::len).sum()
    }

    /// The live positions of a masked parameter; `None` without a mask.
    pub fn live_set(&self, id: ParamId) -> Option<LiveSet> {
        self.get(id).map(|mask| mask.live.to_vec())
    }

    /// Share of live weights of a masked parameter; `None` without a mask.
    pub fn density(&self, id: ParamId) -> Option<f64> {
        let mask = self.get(id)?;
        Some(mask.count as f64 / mask.leaf.len().max(1) as f64)
    }

    /// With what layers keep about the weights of earlier masks.
    pub(crate) fn succeeding(mut self, earlier: &Self) -> Self {
        for mask in &mut self.masks {
            if let Some(before) = earlier.get(mask.leaf.id) {
                mask.lasting = before.lasting.clone();
            }
        }
        self
    }

    /// What a layer has made of a weight's live set, or the default, and the live set; `None`
    /// without a mask. It is dropped with the mask. Always ask for the same type.
    #[cfg(feature = "flex")]
    pub(crate) fn beside<T: Default + Any + Send + Sync>(
        &self,
        id: ParamId,
    ) -> Option<(Arc<T>, Arc<LiveSet>)> {
        let mask = self.get(id)?;
        Some((mask.beside.get(), mask.live.clone()))
    }

    /// What a layer keeps about a weight over all changes of its mask, or the default; `None`
    /// without a mask. Always ask for the same type.
    pub(crate) fn lasting<T: Default + Any + Send + Sync>(&self, id: ParamId) -> Option<Arc<T>> {
        Some(self.get(id)?.lasting.get())
    }

    /// Whether a weight's numbers are zero wherever its mask says dead; `None` without a mask.
    ///
    /// Another tensor may go by the same id: a dense copy of the model, say, or one that was loaded
    /// since. It is not what the mask is about.
    #[cfg(feature = "flex")]
    pub(crate) fn describes(&self, id: ParamId, weight: &[f32]) -> Option<bool> {
        let live = &self.get(id)?.live;
        // Parts, so that the comparison is made of vectors and ends early.
        let mut parts = weight.chunks(512).zip(live.chunks(512));
        let is_zero = |(weight, live): (&[f32], &[bool])| {
            let pairs = weight.iter().zip(live);
            !pairs.fold(false, |found, (weight, live)| {
                found | (!live & (*weight != 0.0))
            })
        };
        Some(weight.len() == live.len() && parts.all(is_zero))
    }

    /// SHA-256 over paths, shapes and live positions: equal on all replicas of a data-parallel run,
    /// or something has come apart.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for mask in &self.masks {
            hash.update((mask.leaf.path.len() as u64).to_le_bytes());
            hash.update(mask.leaf.path.as_bytes());
            for size in &mask.leaf.shape {
                hash.update((*size as u64).to_le_bytes());
            }
            let dead: Vec<u8> = mask.live.iter().map(|live| u8::from(!live)).collect();
            hash.update(&dead);
        }
        let digest = hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Sets a vector to zero at dead positions.
    pub fn project(&self, vector: ParamVector) -> ParamVector {
        match vector.if_joined().filter(|_| !self.is_dense()) {
            Some(joined) => self.whole.fill(self, joined).into(),
            None => self.masked(vector, Mask::fill),
        }
    }

    /// The live components of a vector.
    pub(crate) fn gather(&self, vector: ParamVector) -> ParamVector {
        match vector.joined().filter(|_| !self.is_dense()) {
            Some(joined) => self.whole.gather(self, joined).into(),
            None => self.masked(vector, Mask::gather),
        }
    }

    /// The vector with these live components, zero elsewhere.
    pub(crate) fn scatter(&self, live: ParamVector) -> ParamVector {
        match live.joined().filter(|_| !self.is_dense()) {
            Some(joined) => self.whole.scatter(self, joined).into(),
            None => self.masked(live, Mask::scatter),
        }
    }

    fn masked(
        &self,
        vector: ParamVector,
        change: impl Fn(&Mask, Tensor<1>) -> Tensor<1>,
    ) -> ParamVector {
        if self.is_dense() {
            return vector;
        }
        vector.map(|id, component| match self.get(id) {
            Some(mask) => change(mask, component),
            None => component,
        })
    }

    /// Sets a model's weights to zero at dead positions.
    pub fn project_model<M: Module>(&self, model: M) -> M {
        tree::replace(model, |id, value| Some(self.get(id)?.fill(value)))
    }

    /// The masks as bytes in burn's record format.
    ///
    /// # Errors
    ///
    /// If the record cannot be written.
    pub fn into_bytes(self) -> Result<Bytes> {
        let device = on_devices::for_records();
        let dead = |mask: Mask| Param::initialized(mask.leaf.id, dead(&mask.live, &device));
        let record = MaskRecord {
            dead: self.masks.into_iter().map(dead).collect(),
        };
        record.into_record().into_bytes().map_err(unreadable)
    }

    /// Reads masks that [`into_bytes`](Self::into_bytes) wrote, for the same selection of weights.
    ///
    /// # Errors
    ///
    /// If the bytes are not a record, or number, order or sizes of the masks differ from `leaves`.
    pub fn from_bytes(bytes: Bytes, leaves: &[Leaf]) -> Result<Self> {
        let device = on_devices::for_records();
        let empty = leaves.iter().map(|leaf| {
            let live = vec![true; leaf.len()];
            Param::initialized(leaf.id, dead(&live, &device))
        });
        let record = MaskRecord {
            dead: empty.collect(),
        };
        let stored = burn::store::ModuleRecord::from_bytes(bytes).map_err(unreadable)?;
        let refused = |error| unfit("its record is of other masks").caused_by(error);
        let record = record.try_load_record(stored).map_err(refused)?;
        let mut masks = Self::default();
        for (leaf, param) in leaves.iter().zip(record.dead) {
            if param.id != leaf.id {
                return Err(unfit(format!(
                    "the mask of `{}` belongs to another weight",
                    leaf.path
                )));
            }
            let dead = param.val().to_data();
            let live = dead.iter::<bool>().map(|dead| !dead).collect();
            masks.masks.push(Mask::new(leaf.clone(), live));
        }
        Ok(masks)
    }

    fn get(&self, id: ParamId) -> Option<&Mask> {
        self.masks.iter().find(|mask| mask.leaf.id == id)
    }
}

fn unreadable(source: impl Into<Source>) -> Error {
    Error::record("the set of masks", source)
}

fn unfit(reason: impl ToString) -> Error {
    Error::mismatch("the masks' record", reason)
}

/// Number of live positions.
pub(crate) fn count(live: &[bool]) -> usize {
    live.iter().filter(|live| **live).count()
}
