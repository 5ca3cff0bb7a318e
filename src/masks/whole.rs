//! The masks of a vector in one piece: one operation for all weights.

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::ParamId;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::on_devices::{dead, positions};
use super::{LiveSet, Masks};
use crate::tree::{Joined, Layout};

/// What was made so far, by layout of the vector and device: mostly one.
#[derive(Debug, Default)]
pub(super) struct Whole(Mutex<Vec<Arc<Piece>>>);

#[derive(Debug)]
struct Piece {
    device: Device,
    /// Every element of every parameter.
    all: Arc<Layout>,
    /// The live ones only.
    live: Arc<Layout>,
    dead: Tensor<1, Bool>,
    /// Where the live elements are among all.
    positions: Tensor<1, Int>,
    /// Where all elements are among the live ones; one past their end if they are dead.
    sources: Tensor<1, Int>,
}

impl Whole {
    /// Zero where weights are dead.
    pub fn fill(&self, masks: &Masks, vector: Joined) -> Joined {
        let piece = self.piece(masks, &vector, |piece| &piece.all);
        vector.map(|tensor| tensor.mask_fill(piece.dead.clone(), 0.0))
    }

    /// The live elements of a vector of all.
    pub fn gather(&self, masks: &Masks, vector: Joined) -> Joined {
        let piece = self.piece(masks, &vector, |piece| &piece.all);
        vector.gather(piece.positions.clone(), piece.live.clone())
    }

    /// The inverse, zero elsewhere.
    pub fn scatter(&self, masks: &Masks, live: Joined) -> Joined {
        let piece = self.piece(masks, &live, |piece| &piece.live);
        live.scatter(piece.sources.clone(), piece.all.clone())
    }

    /// The piece whose layout, that of all or that of the live elements, is the vector's.
    fn piece(
        &self,
        masks: &Masks,
        vector: &Joined,
        layout: fn(&Piece) -> &Arc<Layout>,
    ) -> Arc<Piece> {
        let device = vector.tensor.device();
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |piece: &&Arc<Piece>| piece.device == device && *layout(piece) == vector.layout;
        if let Some(piece) = pieces.iter().find(fits) {
            return piece.clone();
        }
        let piece = Arc::new(Piece::new(masks, &vector.layout, device));
        pieces.push(piece.clone());
        piece
    }
}

impl Piece {
    fn new(masks: &Masks, like: &Layout, device: Device) -> Self {
        let sets: Vec<(ParamId, LiveSet)> = like
            .sizes()
            .map(|(id, size)| (id, masks.live_set(id).unwrap_or_else(|| vec![true; size])))
            .collect();
        let all = Layout::new(sets.iter().map(|(id, set)| (*id, set.len())));
        let live = Layout::new(sets.iter().map(|(id, set)| (*id, super::count(set))));
        let joined: LiveSet = sets.into_iter().flat_map(|(_, set)| set).collect();
        Self {
            sources: sources(&joined, live.len(), &device),
            all: Arc::new(all),
            live: Arc::new(live),
            dead: dead(&joined, &device),
            positions: positions(&joined, &device),
            device,
        }
    }
}

fn sources(live: &[bool], nothing: usize, device: &Device) -> Tensor<1, Int> {
    let mut count = 0i64;
    let source = |live: &bool| match live {
        true => {
            count += 1;
            count - 1
        }
        false => nothing as i64,
    };
    let sources: Vec<i64> = live.iter().map(source).collect();
    Tensor::from_data(TensorData::new(sources, [live.len()]), device)
}
