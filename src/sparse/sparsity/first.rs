//! The first masks, whether chosen or given.

use std::collections::HashMap;

use burn::module::Module;

use super::layer_rules::LayerRule;
use super::weights::numbers;
use crate::masks::{LiveSet, Masks};
use crate::tree::{self, Leaf, ParamVector};

/// The first masks.
pub(super) struct First {
    pub leaves: Vec<Leaf>,
    pub rules: Vec<LayerRule>,
    pub live: Vec<LiveSet>,
}

/// The model with its dead weights at zero, frozen ones included.
pub(super) fn zeroed<M: Module>(model: M, masks: &Masks) -> M {
    let trainable = tree::values(&model);
    let values = tree::float_values(&model);
    let mut frozen = HashMap::new();
    for leaf in masks
        .leaves()
        .filter(|leaf| trainable.get(leaf.id).is_none())
    {
        let value = values
            .get(leaf.id)
            .expect("a masked weight is in the model");
        let live = masks
            .live_set(leaf.id)
            .expect("a masked weight has a live set");
        let is_dead = |(value, live): (&f32, &bool)| !live && value.to_bits() != 0;
        if numbers(value.clone()).iter().zip(&live).any(is_dead) {
            let mut one = ParamVector::default();
            one.push(leaf.id, value);
            let zeroed = masks.project(one);
            let zeroed = zeroed.get(leaf.id).expect("it is the only component");
            frozen.insert(leaf.path.clone(), zeroed.to_data());
        }
    }
    let model = masks.project_model(model);
    match frozen.is_empty() {
        true => model,
        false => tree::restore(&model, &frozen),
    }
}
