//! What a perturbation is given.

use serde::{Deserialize, Serialize};

use crate::masks::Masks;
use crate::tree::{self, DirectionKey, Leaf, ParamVector};

/// Which parameters are perturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every trainable parameter, as SAM does. Dead weights are left out in any case.
    #[default]
    AllTrainable,
    /// The weights that have a mask only: no biases, no norm parameters.
    SparseWeights,
}

/// What a perturbation knows about the step that it serves.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The trainable parameters.
    pub leaves: &'a [Leaf],
    /// Their values `θ`, without a graph.
    pub weights: &'a ParamVector,
    /// The live weights; directions are projected onto them before their norm is taken.
    pub masks: &'a Masks,
    /// The optimizer's seed.
    pub seed: u64,
    /// The number of steps taken before this one.
    pub step: u64,
    /// The base learning rate, where the step knows it.
    pub lr: Option<f64>,
    /// What the [`Schedule`](super::Schedule) multiplies radii by.
    pub strength: f64,
}

impl Site<'_> {
    /// The radius `ρ` at this step.
    pub fn radius(&self, rho: f64) -> f64 {
        self.strength * rho
    }

    /// The parameters that are perturbed.
    pub fn in_scope(&self, scope: Scope) -> impl Iterator<Item = &Leaf> {
        let perturbed = move |leaf: &&Leaf| match scope {
            Scope::AllTrainable => true,
            Scope::SparseWeights => self.masks.contains(leaf.id),
        };
        self.leaves.iter().filter(perturbed)
    }

    /// A random direction in the live subspace, not normalised, each component where its parameter
    /// lives.
    pub fn direction(
        &self,
        index: u64,
        distribution: tree::DirectionDistribution,
        scope: Scope,
    ) -> ParamVector {
        let key = DirectionKey {
            seed: self.seed,
            step: self.step,
            index,
        };
        let leaves = self.in_scope(scope);
        let direction = tree::draw_like(self.weights, leaves, key, distribution);
        self.masks.project(direction)
    }

    /// Restricts a vector to the live weights and to a scope.
    pub fn restrict(&self, vector: ParamVector, scope: Scope) -> ParamVector {
        let vector = self.masks.project(vector.whole());
        match scope {
            Scope::AllTrainable => vector,
            Scope::SparseWeights => vector.filter(|id| self.masks.contains(id)),
        }
    }
}
