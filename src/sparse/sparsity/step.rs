//! What happens to masks in a step.

use std::collections::HashMap;

use burn::module::{Module, ParamId};
use burn::tensor::{DType, Tensor, TensorData};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::{Sparsity, device_of};
use crate::error::Result;
use crate::masks::{LiveSet, Masks, Scope, count};
use crate::objective::Passes;
use crate::sparse::Regrown;
use crate::sparse::latent::Latent;
use crate::sparse::layer_rules::check_units;
use crate::sparse::selection::generator;
use crate::sparse::weights::read_weights;
use crate::tree::{self, Leaf, ParamVector};

/// What a change of masks did.
#[derive(Debug, Clone, Default)]
pub struct MaskUpdate {
    /// Number of weights that died.
    pub dropped: usize,
    /// Number of weights that came to life.
    pub grown: usize,
    /// For each masked weight the positions that were live before and are live now: the only ones
    /// whose optimizer state means anything.
    pub(crate) kept: HashMap<ParamId, LiveSet>,
}

impl Sparsity {
    /// Keeps the model if this is the step to rewind to.
    pub(crate) fn keep_rewind_point<M: Module>(&mut self, step: u64, model: &M) {
        if self.method.rewind_step() == Some(step) {
            let tensors = tree::named_tensors(model).into_iter();
            self.history.rewind = tensors
                .map(|(path, data)| {
                    let (bytes, shape, dtype) = data.into_parts();
                    let flat = [shape.num_elements()];
                    (path, TensorData::from_bytes(bytes, flat, dtype))
                })
                .collect();
        }
    }

    /// Whether the next change of masks rewinds the model.
    pub(crate) fn rewinds(&self) -> bool {
        !self.history.rewind.is_empty()
    }

    /// Whether the gradient of a step is ranked or remembered.
    pub(crate) fn observes(&self, step: u64) -> bool {
        let method = self.method.as_ref();
        let remembered = || {
            let memory = method.gradient_memory();
            memory.takes(step, |step| method.is_due(step))
        };
        !self.masks.is_dense() && (method.is_due(step) || remembered())
    }

    /// What the layers of a model need to know in a step.
    pub(crate) fn scope(&self, step: u64) -> Scope {
        Scope {
            masks: self.masks.clone(),
            execution: self.execution,
            dense_gradient: self.ranks(step) || self.latent.is_some(),
        }
    }

    /// Whether the gradients of dead weights are ranked or remembered in a step.
    fn ranks(&self, step: u64) -> bool {
        self.observes(step) && self.method.needs_dense_gradient()
    }

    /// Adds up what a step has cost, before its change of masks.
    pub(crate) fn account(&mut self, step: u64, passes: Passes) {
        let dense = self.ranks(step);
        let masks = &self.masks;
        let layers = masks.leaves().enumerate().map(|(i, leaf)| {
            let live = masks.live(leaf.id).expect("a masked leaf has a count");
            let trained = match &self.latent {
                _ if dense => leaf.len(),
                Some(latent) => count(&latent.training.sets[i]),
                None => live,
            };
            (live, trained)
        });
        self.work.add(passes, layers);
    }

    /// Adds a step's gradient to the method's memory, if it has one.
    pub(crate) fn remember(&mut self, step: u64, gradient: &ParamVector) {
        let memory = self.method.gradient_memory();
        if memory.takes(step, |step| self.method.is_due(step)) {
            let masked = gradient.clone().filter(|id| self.masks.contains(id));
            self.history.gradient = memory.add(&self.history.gradient, masked);
        }
    }

    /// Whether dead weights have values, which only [`step_with`](crate::SharpOptimizer::step_with) can train.
    pub(crate) fn has_latent_values(&self) -> bool {
        self.latent.is_some()
    }

    /// The model and the gradient that the base optimizer steps with.
    pub(crate) fn before_step<M: Module>(
        &self,
        model: M,
        gradient: ParamVector,
    ) -> (M, ParamVector) {
        match &self.latent {
            None => (model, self.masks.project(gradient)),
            Some(latent) => (latent.reveal(model), latent.descent(gradient, &self.masks)),
        }
    }

    /// The model after the base optimizer's step, zero where it is dead.
    pub(crate) fn after_step<M: Module>(&mut self, model: M) -> M {
        match &mut self.latent {
            None => self.masks.project_model(model),
            Some(latent) => latent.conceal(model, &self.masks),
        }
    }

    /// Changes the masks and returns the model with its newly dead weights at zero.
    pub(crate) fn update<M: Module>(
        &mut self,
        step: u64,
        model: M,
        gradient: &ParamVector,
    ) -> Result<(M, MaskUpdate)> {
        let leaves: Vec<Leaf> = self.masks.leaves().cloned().collect();
        let live_now = |leaf: &Leaf| self.masks.live_set(leaf.id);
        let remembered = !self.history.gradient.is_empty();
        let gradient = match remembered {
            true => &self.history.gradient,
            false => gradient,
        };
        let shown = match &self.latent {
            Some(latent) => tree::replace(model.clone(), |id, _| latent.values.get(id).cloned()),
            None => model.clone(),
        };
        let weights = read_weights(&shown, &leaves, Some(gradient), &self.settled, live_now)?;
        let live = self.method.update(step, &weights, self.seed)?;
        check_units(&leaves, &self.settled, &live, self.method.as_ref())?;
        if self.method.gradient_memory().ends_with_update() {
            self.history.gradient = ParamVector::default();
        }
        let training = self.method.training(&weights, &live)?;
        let mut update = MaskUpdate::default();
        let mut born = ParamVector::default();
        for (i, (leaf, weight)) in leaves.iter().zip(&weights).enumerate() {
            let (old, new) = (&weight.live, &live[i]);
            let pairs = || old.iter().zip(new);
            update.dropped += pairs().filter(|(old, new)| **old && !**new).count();
            update.grown += pairs().filter(|(old, new)| !**old && **new).count();
            let kept = match (&self.latent, &training) {
                (Some(latent), Some(training)) => both(&latent.training.sets[i], &training.sets[i]),
                _ => both(old, new),
            };
            update.kept.insert(leaf.id, kept);
            if let Regrown::Normal { std } = self.method.regrown() {
                let grown: LiveSet = pairs().map(|(old, new)| *new && !*old).collect();
                let values = normal(&grown, std, generator(self.seed, step, &leaf.path));
                let kind = (&device_of(&model).without_autodiff(), DType::F32);
                born.push(leaf.id, Tensor::from_data(values, kind));
            }
        }
        let before = weights.into_iter().map(|weight| weight.live).collect();
        self.history.change(before, &live);
        self.masks = Masks::new(&leaves, &live).with_meters_of(&self.masks);
        let model = match self.rewinds() {
            true => tree::restore(&model, &self.history.rewind),
            false => model,
        };
        if let Some(latent) = self.latent.take() {
            let training = training.expect("a method has latent values always or never");
            let latent = Latent::new(latent.values, training, &leaves);
            let model = latent.project(model, &self.masks);
            self.latent = Some(latent);
            return Ok((model, update));
        }
        let model = self.masks.project_model(model);
        let model = tree::replace(model, |id, value| {
            let born = born.get(id)?.clone().to_device(&value.device());
            Some(value.clone() + born.cast(value.dtype()))
        });
        Ok((model, update))
    }
}

/// Positions in both sets.
fn both(a: &LiveSet, b: &LiveSet) -> LiveSet {
    a.iter().zip(b).map(|(a, b)| *a && *b).collect()
}

/// Normal numbers at the positions of a set, zero elsewhere.
fn normal(set: &LiveSet, std: f64, mut generator: ChaCha8Rng) -> TensorData {
    let mut draw = || (std * generator.sample::<f64, _>(StandardNormal)) as f32;
    let values: Vec<f32> = set
        .iter()
        .map(|member| if *member { draw() } else { 0.0 })
        .collect();
    TensorData::new(values, [set.len()])
}
