//! The masks of a vector in one piece: one operation for all weights.

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::ParamId;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::on_devices::dead;
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
        let mut joined = vec![false; all.len()];
        let mut positions = vec![0; live.len()];
        let mut sources = vec![live.len() as i64; all.len()];
        for (id, set) in &sets {
            let (start, mut next) = (all.start(*id), live.start(*id));
            for position in (0..set.len()).filter(|position| set[*position]) {
                joined[start + position] = true;
                positions[next] = (start + position) as i64;
                sources[start + position] = next as i64;
                next += 1;
            }
        }
        Self {
            sources: places(sources, &device),
            positions: places(positions, &device),
            dead: dead(&joined, &device),
            all: Arc::new(all),
            live: Arc::new(live),
            device,
        }
    }
}

fn places(places: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let count = [places.len()];
    Tensor::from_data(TensorData::new(places, count), device)
}
