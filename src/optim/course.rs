//! The order of a step, written once.

use std::sync::Arc;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::ModuleOptimizer;

use super::descend::descend;
use super::found::Found;
use crate::error::{Error, Result};
use crate::masks::Masks;
use crate::perturb::{Descent, Gradients, Memory, Perturbation, Schedule, Site};
use crate::sparse::{MaskUpdate, Sparsity};
use crate::tree::{self, Leaf, ParamVector};

/// What lasts from step to step beside the base optimizer's state, and the order of a step.
///
/// Every step is [`begin`](Self::begin), then a measurement ([`measure`](Self::measure), or an
/// estimate of a gradient), then [`finish`](Self::finish). burn's learner calls the last one apart
/// from the first two.
#[derive(Debug, Clone)]
pub(crate) struct Course<P> {
    pub perturbation: P,
    pub schedule: Schedule,
    pub memory: Memory,
    pub seed: u64,
    /// The number of steps taken.
    pub step: u64,
    /// The largest norm of a gradient that the base optimizer sees.
    pub largest_norm: Option<f64>,
    /// The trainable parameters of the model whose step has begun.
    pub leaves: Arc<[Leaf]>,
}

impl<P: Perturbation> Course<P> {
    pub fn new(perturbation: P) -> Self {
        Self {
            perturbation,
            schedule: Schedule::default(),
            memory: Memory::default(),
            seed: 0,
            step: 0,
            largest_norm: None,
            leaves: Arc::default(),
        }
    }

    /// Before anything is evaluated: whether the step can be taken, and the point to rewind to.
    pub fn begin<M: Module>(&mut self, model: &M, sparsity: &mut Sparsity) -> Result<()> {
        self.leaves = usable_leaves(model, sparsity)?.into();
        sparsity.begin_step(self.step, model, &self.leaves);
        Ok(())
    }

    /// In place of [`begin`](Self::begin), where the gradient is for somebody else's optimizer:
    /// whether it can be.
    pub fn begin_gradient<M: Module>(&mut self, model: &M, sparsity: &Sparsity) -> Result<()> {
        self.leaves = usable_leaves(model, sparsity)?.into();
        let refusals = [
            (
                sparsity.has_latent_values(),
                "a method with latent values",
                "the optimizer has to see the latent values",
            ),
            (
                self.perturbation.drifts(),
                "a perturbation whose descent drifts",
                "part of its update comes after the optimizer's",
            ),
        ];
        match refusals.iter().find(|(refused, ..)| *refused) {
            None => Ok(()),
            Some((_, what, reason)) => Err(Error::Unsupported {
                what,
                reason,
                instead: "let `step_with` make the whole step",
            }),
        }
    }

    /// From the measured gradients to the next weights, masks and memories.
    pub fn finish<M: Module>(
        &mut self,
        base: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        found: Found<M>,
        sparsity: &mut Sparsity,
    ) -> Result<(M, Option<MaskUpdate>)> {
        let growth = found.growth();
        let Found {
            model,
            gradients,
            passes,
            weights,
            ..
        } = found;
        sparsity.remember(self.step, &growth);
        sparsity.account(self.step, passes);
        // Whoever else held the weights would keep the optimizer from updating them in place.
        let descent = self.descent(&model, weights, sparsity, gradients, Some(lr.base()));
        let before = self.masks_to_leave(sparsity);
        let (step, largest) = (self.step, self.largest_norm);
        let (model, update) = descend(base, lr, step, model, sparsity, descent, &growth, largest)?;
        self.follow(before, sparsity, update.is_some());
        self.step += 1;
        Ok((model, update))
    }

    /// What the perturbation makes of the measured gradients.
    pub fn descent<M: Module>(
        &mut self,
        model: &M,
        weights: Option<ParamVector>,
        sparsity: &Sparsity,
        gradients: Gradients,
        lr: Option<f64>,
    ) -> Descent {
        if self.leaves.is_empty() {
            // A step that was begun before its state was loaded.
            self.leaves = tree::leaves(model).into();
        }
        let weights = weights.unwrap_or_else(|| tree::values(model));
        let mut memory = std::mem::take(&mut self.memory);
        let site = self.site(&weights, sparsity, self.seed, lr);
        let descent = self.perturbation.descend(gradients, site, &mut memory);
        self.memory = memory;
        descent
    }

    /// What the perturbation knows about the step.
    pub fn site<'a>(
        &'a self,
        weights: &'a ParamVector,
        sparsity: &'a Sparsity,
        seed: u64,
        lr: Option<f64>,
    ) -> Site<'a> {
        Site {
            leaves: &self.leaves,
            weights,
            masks: sparsity.masks(),
            seed,
            step: self.step,
            lr,
            strength: self.schedule.strength(self.step),
        }
    }

    /// Whether this step is perturbed at all.
    pub fn ascends(&self, sparsity: &Sparsity) -> bool {
        sparsity.perturbs(self.step) && self.schedule.strength(self.step) > 0.0
    }

    /// The masks before a change of masks that the memory has to follow.
    fn masks_to_leave(&self, sparsity: &Sparsity) -> Option<Masks> {
        let follows = !self.memory.is_empty() && sparsity.is_due(self.step);
        follows.then(|| sparsity.masks().clone())
    }

    /// Takes the memory through a change of masks. A model that was put back to earlier weights
    /// starts without a memory.
    fn follow(&mut self, before: Option<Masks>, sparsity: &Sparsity, changed: bool) {
        match before {
            Some(_) if changed && sparsity.rewinds() => self.memory = Memory::default(),
            Some(before) if changed => self.memory.follow(&before, sparsity.masks()),
            _ => {}
        }
    }
}

/// The parameters of a model that belongs together with its masks and has something to train.
pub(crate) fn usable_leaves<M: Module>(model: &M, sparsity: &Sparsity) -> Result<Vec<Leaf>> {
    sparsity.check_attached()?;
    let leaves = tree::leaves(model);
    if leaves.is_empty() {
        return Err(Error::NotTrainable);
    }
    // A layer that was frozen after its mask was chosen keeps it.
    let missing = |leaves: &[Leaf]| {
        let known = |masked: &&Leaf| leaves.iter().any(|leaf| leaf.id == masked.id);
        sparsity
            .masks()
            .leaves()
            .find(|masked| !known(masked))
            .cloned()
    };
    match missing(&leaves).and_then(|_| missing(&tree::float_leaves(model))) {
        None => Ok(leaves),
        Some(masked) => Err(Error::mismatch(
            "the set of masks",
            format!("the model has no parameter `{}` of theirs", masked.path),
        )),
    }
}
