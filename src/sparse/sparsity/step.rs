//! What happens to masks in a step.

use std::collections::HashMap;

use burn::module::{Module, ParamId};
use burn::tensor::{DType, Tensor, TensorData};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::latent::Latent;
use super::layer_rules::check_units;
use super::weights::{numbers, read_weights};
use super::{Sparsity, device_of};
use crate::error::{Result, warn};
use crate::masks::{LiveSet, Masks, Scope, count};
use crate::objective::Passes;
use crate::sparse::parts::selection::generator;
use crate::sparse::{GradientUse, Regrown, Weight};
use crate::tree::{self, Leaf, ParamVector};

/// What a change of masks did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct MaskUpdate {
    /// Number of weights that died.
    pub dropped: usize,
    /// Number of weights that came to life.
    pub grown: usize,
    /// Number of layers that took no part because they got no gradient.
    pub without_gradient: usize,
    /// For each masked weight the positions that were live before and are live now: the only ones
    /// whose optimizer state means anything.
    pub(crate) kept: HashMap<ParamId, LiveSet>,
}

impl Sparsity {
    /// Takes note of what is frozen in a step of the optimizer, and keeps the model if this is the
    /// step to rewind to; `trainable` are its parameters. The first step after the attach is the
    /// method's step 0.
    pub(crate) fn begin_step<M: Module>(&mut self, step: u64, model: &M, trainable: &[Leaf]) {
        let is_frozen = |leaf: &Leaf| !trainable.iter().any(|other| other.id == leaf.id);
        self.frozen = self.masks.leaves().map(is_frozen).collect();
        let progress = &mut self.history.progress;
        progress.begun = Some(progress.beginning(step));
        if self.plan.rewind_step != Some(self.own_step(step)) {
            return;
        }
        let paths = trainable.iter().map(|leaf| leaf.path.clone());
        self.history.progress.rewound = paths.collect();
        let tensors = tree::named_tensors(model).into_iter();
        self.history.rewind = tensors
            .map(|(path, data)| {
                let (bytes, shape, dtype) = data.into_parts();
                let flat = [shape.num_elements()];
                (path, TensorData::from_bytes(bytes, flat, dtype))
            })
            .collect();
    }

    /// Whether the next change of masks rewinds the model.
    pub(crate) fn rewinds(&self) -> bool {
        !self.history.rewind.is_empty()
    }

    /// Whether the gradient of a step is ranked or remembered.
    pub(crate) fn observes(&self, step: u64) -> bool {
        !self.masks.is_dense() && (self.is_due(step) || self.remembers(step))
    }

    /// Whether the gradient of a step is remembered.
    fn remembers(&self, step: u64) -> bool {
        let memory = self.plan.memory;
        memory.takes(|steps| self.method.is_due_within(self.own_step(step), steps))
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
        self.observes(step) && self.plan.gradients == GradientUse::All
    }

    /// Adds up what a step has cost, before its change of masks.
    pub(crate) fn account(&mut self, step: u64, passes: Passes) {
        let dense = self.ranks(step);
        let masks = &self.masks;
        let frozen = &self.frozen;
        let layers = masks.leaves().enumerate().map(|(i, leaf)| {
            let live = masks.live(leaf.id).expect("a masked leaf has a count");
            let trained = match &self.latent {
                _ if frozen.get(i) == Some(&true) => 0,
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
        if self.remembers(step) {
            let memory = self.plan.memory;
            let masked = gradient.clone().filter(|id| self.masks.contains(id));
            self.history.gradient = memory.add(&self.history.gradient, masked);
        }
    }

    /// Whether dead weights have values, which only [`step_with`](crate::SharpOptimizer::step_with)
    /// can train.
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
            Some(latent) => {
                let model = latent.reveal(model);
                let trainable = tree::values(&model);
                let descent = latent.descent(gradient, &self.masks);
                (model, descent.filter(|id| trainable.get(id).is_some()))
            }
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
        let own_step = self.own_step(step);
        let (weights, without_gradient) = self.weights(&model, &leaves, gradient)?;
        let live = self.choose(own_step, &weights)?;
        self.count(step, &without_gradient);
        check_units(&leaves, &self.settled, &live, &self.plan)?;
        if self.plan.memory.ends_with_update() {
            self.history.gradient = ParamVector::default();
        }
        let training = self.method.training(&weights, &live)?;
        let mut update = MaskUpdate {
            without_gradient: without_gradient.len(),
            ..MaskUpdate::default()
        };
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
            if let Regrown::Normal { std } = self.plan.regrown {
                let grown: LiveSet = pairs().map(|(old, new)| *new && !*old).collect();
                let values = normal(&grown, std, generator(self.seed, own_step, &leaf.path));
                let kind = (&device_of(&model).without_autodiff(), DType::F32);
                born.push(leaf.id, Tensor::from_data(values, kind));
            }
        }
        let before = weights.into_iter().map(|weight| weight.live).collect();
        self.history.change(before, &live);
        self.masks = Masks::new(&leaves, &live).succeeding(&self.masks);
        let model = match self.rewinds() {
            true => tree::restore(&model, &self.history.rewind_of(&model)),
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

    /// The masked weights as the method sees them, and the paths of those that have no gradient to
    /// go by.
    ///
    /// A gradient that is zero everywhere is none: the loss did not depend on the weight.
    fn weights<M: Module>(
        &self,
        model: &M,
        leaves: &[Leaf],
        gradient: &ParamVector,
    ) -> Result<(Vec<Weight>, Vec<String>)> {
        let live_now = |leaf: &Leaf| self.masks.live_set(leaf.id);
        let values = match &self.latent {
            Some(latent) => latent.values.clone(),
            None => tree::float_values(model),
        };
        let mut weights = read_weights(&values, leaves, &self.settled, live_now)?;
        let gradient = match self.history.gradient.is_empty() {
            true => gradient,
            false => &self.history.gradient,
        };
        let mut without = Vec::new();
        for (place, (weight, leaf)) in weights.iter_mut().zip(leaves).enumerate() {
            weight.sits_out = self.frozen.get(place) == Some(&true);
            if self.plan.gradients == GradientUse::None {
                continue;
            }
            let slopes = gradient.get(leaf.id).map(numbers);
            let slopes = slopes.filter(|slopes| slopes.iter().any(|slope| *slope != 0.0));
            if slopes.is_none() && !weight.sits_out {
                weight.sits_out = true;
                without.push(leaf.path.clone());
            }
            weight.gradient = slopes.unwrap_or_else(|| vec![0.0; leaf.len()]);
        }
        Ok((weights, without))
    }

    /// The method's choice, for the weights that take part.
    fn choose(&mut self, own_step: u64, weights: &[Weight]) -> Result<Vec<LiveSet>> {
        let unchanged = || weights.iter().map(|weight| weight.live.clone());
        if weights.iter().all(|weight| weight.sits_out) {
            return Ok(unchanged().collect());
        }
        let chosen = self.method.update(own_step, weights, self.seed)?;
        let pairs = unchanged().zip(chosen).zip(weights);
        let pairs = pairs.map(|((old, new), weight)| if weight.sits_out { old } else { new });
        Ok(pairs.collect())
    }

    /// Counts the layers that a change of masks has passed by, and says so the first time.
    fn count(&mut self, step: u64, without_gradient: &[String]) {
        let counts = &mut self.history.progress.without_gradient;
        if let (true, Some(path)) = (counts.is_empty(), without_gradient.first()) {
            warn(&format!(
                "`{path}` got no gradient in step {step}, in which masks change: it keeps its mask this time, and so \
                 does any layer that the loss of such a step does not depend on; the report counts how often"
            ));
        }
        for path in without_gradient {
            *counts.entry(path.clone()).or_default() += 1;
        }
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
