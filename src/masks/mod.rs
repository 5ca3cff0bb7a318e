//! Which weights are live.
//!
//! One mask per sparse weight, under that weight's parameter id. A weight without a mask is dense. This is the only place that says what is live: layers hold no
//! masks, and weights are zero at dead positions because they are projected, never the other way
//! round (a live weight may be exactly zero, right after it was regrown).

mod meter;
mod report;
mod scope;
#[cfg(feature = "flex")]
mod structures;

pub(crate) use meter::Meter;
#[cfg(feature = "flex")]
pub(crate) use meter::Product;
pub use meter::Spent;
pub use report::{ExecutionReport, LayerExecution};
pub use scope::Execution;
pub(crate) use scope::Scope;

use std::sync::{Arc, OnceLock};

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Bool, Bytes, Device, IndexingUpdateOp, Int, Tensor, TensorData};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
#[cfg(feature = "flex")]
use crate::kernels::{ConvShape, ConvStructure, LinearStructure};
use crate::tree::{self, Leaf, ParamVector};

/// Which positions of one weight are live, in the order of its elements.
pub type LiveSet = Vec<bool>;

/// The mask of one weight.
#[derive(Debug, Clone)]
struct Mask {
    leaf: Leaf,
    /// True where the weight is dead, so that it can be filled with zeros: a product would keep NaN
    /// and turn dead negative weights into −0.
    dead: Tensor<1, Bool>,
    live: usize,
    /// The live positions, made when a vector is first gathered.
    positions: Arc<OnceLock<Tensor<1, Int>>>,
    /// The compressed forms that the kernels read, made when a layer first computes with them.
    #[cfg(feature = "flex")]
    structures: Arc<structures::Structures>,
    meter: Arc<Meter>,
}

impl Mask {
    fn new(leaf: Leaf, live: &[bool], device: &Device) -> Self {
        Self {
            leaf,
            dead: dead_tensor(live, device),
            live: count(live),
            positions: Arc::default(),
            #[cfg(feature = "flex")]
            structures: Arc::default(),
            meter: Arc::default(),
        }
    }

    fn live_set(&self) -> LiveSet {
        let dead = self.dead.to_data();
        dead.iter::<bool>().map(|dead| !dead).collect()
    }

    fn positions(&self) -> &Tensor<1, Int> {
        self.positions.get_or_init(|| {
            let dead = self.dead.to_data();
            let live = dead.iter::<bool>().enumerate();
            let live: Vec<i64> = live
                .filter_map(|(i, dead)| (!dead).then_some(i as i64))
                .collect();
            let count = [live.len()];
            Tensor::from_data(TensorData::new(live, count), &self.dead.device())
        })
    }
}

/// The masks of a model.
#[derive(Debug, Clone, Default)]
pub struct Masks {
    masks: Vec<Mask>,
}

/// How masks are stored: a burn module whose parameters carry the ids of the weights they belong to.
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
    pub(crate) fn new(leaves: &[Leaf], live_sets: &[LiveSet], device: &Device) -> Self {
        let mut masks = Self::default();
        for (leaf, live) in leaves.iter().zip(live_sets) {
            assert_eq!(leaf.len(), live.len(), "a live set covers its weight");
            masks.masks.push(Mask::new(leaf.clone(), live, device));
        }
        masks
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
        self.get(id).map(|mask| mask.live)
    }

    /// Number of live weights over all masks.
    pub fn live_weights(&self) -> usize {
        self.masks.iter().map(|mask| mask.live).sum()
    }

    /// Number of weights, live or dead, over all masks.
    pub fn prunable_weights(&self) -> usize {
        self.leaves().map(Leaf::len).sum()
    }

    /// The live positions of a masked parameter, read from its device.
    pub fn live_set(&self, id: ParamId) -> Option<LiveSet> {
        self.get(id).map(Mask::live_set)
    }

    /// Share of live weights of a masked parameter; `None` without a mask.
    pub fn density(&self, id: ParamId) -> Option<f64> {
        let mask = self.get(id)?;
        Some(mask.live as f64 / mask.leaf.len().max(1) as f64)
    }

    /// Goes on counting where earlier masks of the same weights stopped.
    pub(crate) fn with_meters_of(mut self, earlier: &Self) -> Self {
        for mask in &mut self.masks {
            if let Some(before) = earlier.get(mask.leaf.id) {
                mask.meter = before.meter.clone();
            }
        }
        self
    }

    #[cfg(feature = "flex")]
    pub(crate) fn meter(&self, id: ParamId) -> Option<Arc<Meter>> {
        Some(self.get(id)?.meter.clone())
    }

    /// The compressed form of a convolution's weight; `None` if the kernels do not take it.
    #[cfg(feature = "flex")]
    pub(crate) fn conv(&self, id: ParamId, shape: ConvShape) -> Option<Arc<ConvStructure>> {
        let mask = self.get(id)?;
        mask.structures.conv(shape, || mask.live_set())
    }

    /// The compressed form of a convolution's weight as if it were dense; `None` if the kernels do not take it.
    #[cfg(feature = "flex")]
    pub(crate) fn whole_conv(&self, id: ParamId, shape: ConvShape) -> Option<Arc<ConvStructure>> {
        self.get(id)?.structures.whole_conv(shape)
    }

    /// The compressed form of a linear layer's weight `[inputs, outputs]`; `None` if the kernels do not take it.
    #[cfg(feature = "flex")]
    pub(crate) fn linear(&self, id: ParamId, sizes: [usize; 2]) -> Option<Arc<LinearStructure>> {
        let mask = self.get(id)?;
        mask.structures.linear(sizes, || mask.live_set())
    }

    /// SHA-256 over paths, shapes and live positions: equal on all replicas of a data-parallel run, or something
    /// has come apart.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for mask in &self.masks {
            hash.update((mask.leaf.path.len() as u64).to_le_bytes());
            hash.update(mask.leaf.path.as_bytes());
            for size in &mask.leaf.shape {
                hash.update((*size as u64).to_le_bytes());
            }
            let dead: Vec<u8> = mask.dead.to_data().iter::<bool>().map(u8::from).collect();
            hash.update(&dead);
        }
        let digest = hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Sets a vector to zero at dead positions.
    pub fn project(&self, vector: ParamVector) -> ParamVector {
        vector.map(|id, component| match self.get(id) {
            Some(mask) => component.mask_fill(mask.dead.clone(), 0.0),
            None => component,
        })
    }

    /// The live components of a vector.
    pub(crate) fn gather(&self, vector: ParamVector) -> ParamVector {
        vector.map(|id, component| match self.get(id) {
            Some(mask) => component.select(0, mask.positions().clone()),
            None => component,
        })
    }

    /// The vector with these live components, zero elsewhere.
    pub(crate) fn scatter(&self, live: ParamVector) -> ParamVector {
        live.map(|id, component| match self.get(id) {
            Some(mask) => {
                let zeros =
                    Tensor::zeros([mask.leaf.len()], (&component.device(), component.dtype()));
                let positions = mask.positions().clone();
                zeros.select_assign(0, positions, component, IndexingUpdateOp::Add)
            }
            None => component,
        })
    }

    /// Sets a model's weights to zero at dead positions.
    pub fn project_model<M: Module>(&self, model: M) -> M {
        tree::replace(model, |id, value| {
            let mask = self.get(id)?;
            Some(value.mask_fill(mask.dead.clone(), 0.0))
        })
    }

    /// The masks as bytes in burn's record format.
    ///
    /// # Errors
    ///
    /// If the record cannot be written.
    pub fn into_bytes(self) -> Result<Bytes> {
        let dead = self.masks.into_iter();
        let record = MaskRecord {
            dead: dead
                .map(|mask| Param::initialized(mask.leaf.id, mask.dead))
                .collect(),
        };
        record.into_record().into_bytes().map_err(unfit)
    }

    /// Reads masks that [`into_bytes`](Self::into_bytes) wrote, for the same selection of weights.
    ///
    /// # Errors
    ///
    /// If the bytes are not a record, or number, order or sizes of the masks differ from `leaves`.
    pub fn from_bytes(bytes: Bytes, leaves: &[Leaf], device: &Device) -> Result<Self> {
        let empty = leaves.iter().map(|leaf| {
            let dead = Tensor::from_data(
                TensorData::new(vec![false; leaf.len()], [leaf.len()]),
                device,
            );
            Param::initialized(leaf.id, dead)
        });
        let record = MaskRecord {
            dead: empty.collect(),
        };
        let stored = burn::store::ModuleRecord::from_bytes(bytes).map_err(unfit)?;
        let record = record.try_load_record(stored).map_err(unfit)?;
        let mut masks = Self::default();
        for (leaf, param) in leaves.iter().zip(record.dead) {
            if param.id != leaf.id {
                return Err(unfit(format!(
                    "the mask of `{}` belongs to another weight",
                    leaf.path
                )));
            }
            let dead = param.val().to_data();
            let dead: Vec<bool> = dead.iter::<bool>().collect();
            let live: LiveSet = dead.iter().map(|dead| !dead).collect();
            masks.masks.push(Mask::new(leaf.clone(), &live, device));
        }
        Ok(masks)
    }

    fn get(&self, id: ParamId) -> Option<&Mask> {
        self.masks.iter().find(|mask| mask.leaf.id == id)
    }
}

fn dead_tensor(live: &[bool], device: &Device) -> Tensor<1, Bool> {
    let dead: Vec<bool> = live.iter().map(|live| !live).collect();
    let device = device.clone().without_autodiff();
    Tensor::from_data(TensorData::new(dead, [live.len()]), &device)
}

fn unfit(reason: impl ToString) -> Error {
    Error::Mismatch {
        what: "the masks' record",
        reason: reason.to_string(),
    }
}

/// Number of live positions.
pub(crate) fn count(live: &[bool]) -> usize {
    live.iter().filter(|live| **live).count()
}
