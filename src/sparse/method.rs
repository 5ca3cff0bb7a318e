//! What a sparse-training method is.

use super::parts::Training;
use super::parts::distribution::fixed_counts;
use super::plan::Plan;
use super::weight::Weight;
use crate::error::{Error, Result};
use crate::masks::LiveSet;

/// Chooses which weights are live.
///
/// A method holds its own configuration and owns no tensors. Randomness comes from `seed` and the
/// step, so a method without other memory resumes exactly from its configuration; one with memory
/// keeps it in its [`state`](Self::state).
///
/// Steps are the method's own: they count from the attach, whatever steps the optimizer has taken
/// before.
pub trait SparsityMethod: std::fmt::Debug + Send + Sync {
    /// What the method is: its name, its sparsity, what it needs.
    ///
    /// It is asked when a method is attached or loaded, before [`validate`](Self::validate) and
    /// after the first masks.
    fn plan(&self) -> Plan;

    /// Checks the configuration, once, before anything is computed.
    ///
    /// # Errors
    ///
    /// A field out of its range.
    fn validate(&self) -> Result<()>;

    /// The share of weights that is to be dead after a number of steps. Default: the plan's.
    fn sparsity_after(&self, _steps: u64) -> f64 {
        self.plan().sparsity
    }

    /// The density aimed at for each layer; `None` where layers compete for one budget.
    ///
    /// # Errors
    ///
    /// If the distribution cannot realise the sparsity.
    fn target_densities(&self, shapes: &[Vec<usize>]) -> Result<Option<Vec<f64>>>;

    /// Checks, before the first masks are chosen or taken over, that all sparsities that training
    /// goes through can be reached on these weights, some of which may have a density of their own.
    ///
    /// # Errors
    ///
    /// [`Error::Infeasible`](crate::Error::Infeasible).
    fn check_budget(&self, weights: &[Weight]) -> Result<()> {
        let sparsity = self.plan().sparsity;
        fixed_counts(weights, sparsity, sparsity).map(drop)
    }

    /// The live sets to start from, one per weight: those of round 0.
    ///
    /// # Errors
    ///
    /// If the sparsity cannot be reached or a score is not a number.
    fn initial(&mut self, weights: &[Weight], seed: u64) -> Result<Vec<LiveSet>>;

    /// Takes note of live sets that were [given](crate::Sparsity::starting_from), in place of
    /// [`initial`](Self::initial).
    ///
    /// # Errors
    ///
    /// If nothing is left for the method to choose, because its masks never change during training.
    fn start_from(&mut self, _weights: &[Weight]) -> Result<()> {
        Ok(())
    }

    /// The live sets of a later round, given weights that are zero at the positions dead by then.
    ///
    /// # Errors
    ///
    /// As [`initial`](Self::initial).
    fn refine(&mut self, _round: u64, weights: &[Weight], seed: u64) -> Result<Vec<LiveSet>> {
        self.initial(weights, seed)
    }

    /// What is trained besides the live weights; `None` where dead weights have no value.
    ///
    /// A method that returns something here sees latent values instead of zeros in
    /// [`update`](Self::update), which this follows with the new live sets.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    fn training(&self, _weights: &[Weight], _live: &[LiveSet]) -> Result<Option<Training>> {
        Ok(None)
    }

    /// Whether masks change at this step (the number of steps taken before it).
    fn is_due(&self, _step: u64) -> bool {
        false
    }

    /// Whether masks change at this step or one of those after it, of `steps` in all.
    fn is_due_within(&self, step: u64, steps: u64) -> bool {
        (step..step.saturating_add(steps)).any(|step| self.is_due(step))
    }

    /// The step of the learning-rate schedule and of the data that belongs to a step of the run;
    /// they differ once a method has rewound.
    fn schedule_step(&self, step: u64) -> u64 {
        step
    }

    /// Whether the perturbation acts at a step.
    fn perturbs(&self, _step: u64) -> bool {
        true
    }

    /// The new live sets, one per weight.
    ///
    /// # Errors
    ///
    /// If a score is not a number.
    fn update(&mut self, _step: u64, weights: &[Weight], _seed: u64) -> Result<Vec<LiveSet>> {
        Ok(weights.iter().map(|weight| weight.live.clone()).collect())
    }

    /// Memory that must survive a checkpoint.
    fn state(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Restores what [`state`](Self::state) returned.
    ///
    /// # Errors
    ///
    /// If the value is not such a state.
    fn load_state(&mut self, _state: serde_json::Value) -> Result<()> {
        Ok(())
    }
}

/// Why a method whose masks never change takes none.
pub(in crate::sparse) fn no_choice_left(name: &str) -> Error {
    Error::Config {
        field: "method",
        value: format!("{name}, with given masks"),
        valid: "`Keep`, or one that changes masks during training: this one never does, so that given masks leave it \
                nothing to choose",
    }
}
