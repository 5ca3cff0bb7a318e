//! Values that live on while their weights are dead.

use burn::module::Module;

use crate::masks::Masks;
use crate::sparse::parts::Training;
use crate::tree::{self, Leaf, ParamVector};

/// The values of all weights that have a mask, and which of them are moved.
#[derive(Debug, Clone)]
pub(super) struct Latent {
    pub values: ParamVector,
    pub training: Training,
    moved: Masks,
}

impl Latent {
    pub fn new(values: ParamVector, training: Training, leaves: &[Leaf]) -> Self {
        Self {
            moved: Masks::new(leaves, &training.sets),
            values,
            training,
        }
    }

    /// The latent values of the weights that have a mask.
    pub fn values_of<M: Module>(model: &M, masks: &Masks) -> ParamVector {
        tree::float_values(model).filter(|id| masks.contains(id))
    }

    /// The gradient where weights are moved, with the decay of live and of latent values; also for
    /// weights that have no gradient or are frozen.
    pub fn descent(&self, gradient: ParamVector, masks: &Masks) -> ParamVector {
        let Training {
            decay,
            latent_decay,
            ..
        } = self.training;
        let moved = self.moved.project(self.values.clone());
        let live = masks.project(self.values.clone());
        // live · decay + (moved − live) · latent_decay
        let pull = moved.scaled(latent_decay);
        let pull = pull.add_scaled(&live, decay - latent_decay);
        self.moved.project(gradient).plus_scaled(&pull, 1.0)
    }

    /// The model with the values that are moved, zero elsewhere.
    pub fn reveal<M: Module>(&self, model: M) -> M {
        let moved = self.moved.project(self.values.clone());
        tree::replace(model, |id, _| moved.get(id))
    }

    /// Takes over the values that were moved, and returns the model as its masks want it.
    pub fn conceal<M: Module>(&mut self, model: M, masks: &Masks) -> M {
        let old = std::mem::take(&mut self.values);
        // The model shows only what is live of a frozen weight.
        let stepped = tree::values(&model);
        let stepped = old.clone().map(|id, old| stepped.get(id).unwrap_or(old));
        let still = old.clone().add_scaled(&self.moved.project(old), -1.0);
        self.values = self.moved.project(stepped).add_scaled(&still, 1.0);
        self.project(model, masks)
    }

    /// The model with its live weights at their latent values, and zero elsewhere.
    pub fn project<M: Module>(&self, model: M, masks: &Masks) -> M {
        let model = tree::replace(model, |id, _| self.values.get(id));
        masks.project_model(model)
    }
}
