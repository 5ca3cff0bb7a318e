//! Parameters that a module uses in several places: tied weights.
//!
//! burn tells parameters apart by id, so a tied weight is one id in several places. After burn's
//! own steps and after loading a record each place has a tensor of its own. Here they are one
//! parameter: whatever reads a module counts its first place, and whatever maps one gives all
//! places the same tensor, the same node of the graph, so that its gradient is the sum over its
//! uses.

use std::any::Any;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use burn::module::ParamId;
use burn::tensor::Tensor;

/// Tells the first place of each parameter from its others.
#[derive(Default)]
pub(super) struct First(HashSet<ParamId>);

impl First {
    pub fn is(&mut self, id: ParamId) -> bool {
        self.0.insert(id)
    }
}

/// The tensors that the first places have been given.
#[derive(Default)]
pub(super) struct Same(HashMap<ParamId, Box<dyn Any>>);

impl Same {
    /// The tensor of an earlier place; otherwise the one that is made now.
    ///
    /// A tensor of another shape is no place of the same parameter, whatever its id.
    pub fn or<const D: usize>(
        &mut self,
        id: ParamId,
        tensor: Tensor<D>,
        make: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) -> Tensor<D> {
        match self.0.entry(id) {
            Entry::Occupied(earlier) => match earlier.get().downcast_ref::<Tensor<D>>() {
                Some(same) if same.dims() == tensor.dims() => same.clone(),
                _ => make(tensor),
            },
            Entry::Vacant(place) => {
                let made = make(tensor);
                place.insert(Box::new(made.clone()));
                made
            }
        }
    }
}
