//! Which slots share memory: a slot's is free again behind the last step that reads it.

use std::sync::Arc;

use super::Region;
use super::planner::{Action, Slot, Step};
use crate::inference::graph::{Data, Id};

impl Action {
    /// The slots that a step reads.
    pub fn reads(&self) -> impl Iterator<Item = usize> {
        let regions: &[Region] = match self {
            Self::Run { from, .. } => from,
            Self::Give { from, .. } => std::slice::from_ref(from),
            Self::Operate(_) | Self::Get { .. } => &[],
        };
        regions.iter().map(|region| region.slot)
    }

    /// The slot that a step writes.
    pub fn writes(&self) -> Option<usize> {
        match self {
            Self::Run { to, .. } | Self::Get { to, .. } => Some(*to),
            Self::Give { .. } | Self::Operate(_) => None,
        }
    }
}

/// Where a slot is in a run.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Input(usize),
    Constant(Arc<Data>),
    /// The number of a buffer.
    Buffer(usize),
    /// A slot that no step writes or reads.
    Nowhere,
}

/// The memory of a run.
#[derive(Debug)]
pub(crate) struct Buffers {
    /// Of each slot.
    pub places: Vec<Place>,
    /// Numbers of each slot.
    pub lengths: Vec<usize>,
    /// Numbers of each buffer.
    pub sizes: Vec<usize>,
}

impl Buffers {
    /// Gives every slot its memory. What was freed last is taken first: it is likely to be in a
    /// cache.
    pub(super) fn assign(
        steps: &[Step],
        slots: Vec<Slot>,
        outputs: &[(Region, Option<Id>)],
    ) -> Self {
        let last = last_uses(steps, slots.len(), outputs);
        let length = |slot: &Slot| match slot {
            Slot::Buffer(length) => *length,
            Slot::Input(_) | Slot::Constant(_) => 0,
        };
        let lengths: Vec<usize> = slots.iter().map(length).collect();
        let place = |slot| match slot {
            Slot::Input(index) => Place::Input(index),
            Slot::Constant(data) => Place::Constant(data),
            Slot::Buffer(_) => Place::Nowhere,
        };
        let mut places: Vec<Place> = slots.into_iter().map(place).collect();
        let (mut sizes, mut free) = (Vec::<usize>::new(), Vec::<usize>::new());
        for (at, step) in steps.iter().enumerate() {
            if let Some(slot) = step.action.writes() {
                let fits = |buffer: &usize| sizes[*buffer] >= lengths[slot];
                let found = free.iter().rposition(fits).or(free.len().checked_sub(1));
                let buffer = found.map_or(sizes.len(), |index| free.remove(index));
                if buffer == sizes.len() {
                    sizes.push(0);
                }
                sizes[buffer] = sizes[buffer].max(lengths[slot]);
                places[slot] = Place::Buffer(buffer);
            }
            let mut used: Vec<usize> = step.action.reads().chain(step.action.writes()).collect();
            used.sort_unstable();
            used.dedup();
            for slot in used.into_iter().filter(|slot| last[*slot] == at) {
                if let Place::Buffer(buffer) = places[slot] {
                    free.push(buffer);
                }
            }
        }
        Self {
            places,
            lengths,
            sizes,
        }
    }
}

/// The last step that touches each slot; outputs are read behind all of them.
fn last_uses(steps: &[Step], slots: usize, outputs: &[(Region, Option<Id>)]) -> Vec<usize> {
    let mut last = vec![0; slots];
    for (at, step) in steps.iter().enumerate() {
        let used = step.action.reads().chain(step.action.writes());
        used.for_each(|slot| last[slot] = at);
    }
    for (region, burned) in outputs {
        if burned.is_none() {
            last[region.slot] = steps.len();
        }
    }
    last
}
