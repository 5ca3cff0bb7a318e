//! ESAM: SAM on some of the weights and some of the samples.

use burn::module::{Module, ParamId};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::setters::{not_negative, setters};
use super::{Ascent, Memory, Perturbation, PlainReason, Scope, Site};
use crate::error::{Result, check};
use crate::objective::{BatchLoss, Objective};
use crate::tree::path_hash;

/// Efficient SAM: SAM on a random choice of parameter tensors, and on the samples whose loss rises
/// most.
///
/// `ε = ρ g/(β ‖g‖)` on the chosen tensors. Each tensor in scope is chosen with probability `β`,
/// all of them at the first step; the others get no gradient at `θ`. If none is chosen, `ε` is zero
/// and the step is the base optimizer's on the whole batch: a forward and a backward, reported with
/// [`ZeroEstimate`](super::PlainReason::ZeroEstimate). The chance of that is `1 − β` to the power
/// of the number of tensors: 16 % for a single linear layer.
///
/// With `γ < 1` one more forward measures each sample's loss at `θ + ε`, and the `⌊γ B⌋` samples
/// (at least one) with the largest rise are differentiated. A step is a forward and a part of a
/// backward, a forward, and a share of both. What your closure returns beside the loss is that of
/// the whole batch at `θ`. Needs [`Samples`](crate::objective::Samples).
///
/// | field | default | range |
/// |---|---|---|
/// | `rho` | 0.05 | finite, ≥ 0 |
/// | `beta` | 0.6 | greater than 0, ≤ 1 |
/// | `gamma` | 0.5 | greater than 0, ≤ 1 |
/// | `scope` | all trainable parameters | |
///
/// The defaults are those of the authors' CIFAR run with a ResNet-18; with `beta = gamma = 1` it is
/// SAM.
///
/// Du et al., "Efficient Sharpness-aware Minimization for Improved Training of Neural Networks",
/// ICLR 2022 (arXiv 2110.03141). As in the authors' code whole tensors are drawn (the paper: single
/// weights). Unlike here, their code fails where none is drawn, and keeps the samples strictly
/// above the `⌊γ B⌋`-th rise, one less.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EsamConfig {
    /// Radius `ρ`.
    pub rho: f64,
    /// Probability `β` that a parameter tensor is perturbed.
    pub beta: f64,
    /// Share `γ` of the samples that are differentiated at `θ + ε`.
    pub gamma: f64,
    /// Which parameters are perturbed.
    pub scope: Scope,
    /// The perturbed tensors of each step, by their paths, in the place of draws: to repeat another
    /// implementation's run. After the end of the list tensors are drawn.
    #[doc(hidden)]
    #[serde(skip)]
    pub tensors: Vec<Vec<String>>,
}

impl Default for EsamConfig {
    fn default() -> Self {
        Self {
            rho: 0.05,
            beta: 0.6,
            gamma: 0.5,
            scope: Scope::AllTrainable,
            tensors: Vec::new(),
        }
    }
}

setters!(EsamConfig {
    /// Sets the radius `ρ`.
    with_rho(rho: f64),
    /// Sets the probability `β` that a tensor is perturbed.
    with_beta(beta: f64),
    /// Sets the share `γ` of the samples that are differentiated.
    with_gamma(gamma: f64),
    /// Sets which parameters are perturbed.
    with_scope(scope: Scope),
});

impl EsamConfig {
    /// Whether a parameter is perturbed in a step.
    fn is_chosen(&self, path: &str, site: Site<'_>) -> bool {
        if let Some(listed) = self.tensors.get(site.step as usize) {
            return listed.iter().any(|other| other == path);
        }
        let mut coin = ChaCha8Rng::seed_from_u64(site.seed ^ path_hash(path));
        coin.set_stream(site.step);
        site.step == 0 || coin.random::<f64>() < self.beta
    }
}

impl Perturbation for EsamConfig {
    fn validate(&self) -> Result<()> {
        not_negative("rho", self.rho)?;
        for (name, value) in [("beta", self.beta), ("gamma", self.gamma)] {
            check(
                name,
                value,
                value > 0.0 && value <= 1.0,
                "greater than 0 and at most 1",
            )?;
        }
        Ok(())
    }

    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        let chosen = site.in_scope(self.scope);
        let chosen = chosen.filter(|leaf| self.is_chosen(&leaf.path, site));
        let chosen: Vec<ParamId> = chosen.map(|leaf| leaf.id).collect();
        if chosen.is_empty() {
            return Ascent::given_up(PlainReason::ZeroEstimate);
        }
        let (here, before) = objective.gradient_of(|id| chosen.contains(&id));
        let direction = site.restrict(here.vector, self.scope);
        let rho = site.radius(self.rho) / self.beta;
        let mut ascent = Ascent {
            buffers: Some(here.twin),
            ..Ascent::along(direction, rho)
        };
        let kept = (self.gamma * before.len() as f64) as usize;
        if ascent.offset.is_some() && kept < before.len() {
            let after = objective.losses_at(ascent.offset.as_ref());
            let part = largest_rises(&before, &after, kept.max(1));
            let forward = objective.forward_on(&part, ascent.offset.as_ref());
            ascent.forward = Some(forward.with_extra(here.extra));
        }
        ascent
    }

    fn needs_samples(&self) -> bool {
        true
    }
}

/// The samples whose loss rises most, in the order of the batch; the earlier one if rises are
/// equal.
fn largest_rises(before: &[f64], after: &[f64], count: usize) -> Vec<usize> {
    let rise = |sample: usize| after[sample] - before[sample];
    let mut samples: Vec<usize> = (0..before.len()).collect();
    samples.sort_by(|a, b| rise(*b).total_cmp(&rise(*a)).then(a.cmp(b)));
    samples.truncate(count);
    samples.sort_unstable();
    samples
}
