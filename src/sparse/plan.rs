//! What a method is, as data.

use super::evidence::Need;
use super::parts::{GradientMemory, Regrown};

/// What [`Sparsity`](super::Sparsity) has to know of a method, beside what the method does.
///
/// Everything has a default but the name and the sparsity, so a method says only how it differs:
///
/// ```
/// use zosam::sparse::{GradientUse, Need, Plan};
/// let plan = Plan::new("mine", 0.9)
///     .with_need(Need::Gradient)
///     .with_gradients(GradientUse::None);
/// assert_eq!((plan.rounds, plan.steps_when_due), (1, true));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The method's name in reports.
    pub name: &'static str,
    /// The share of weights that is to be dead, over all sparse weights, in the end.
    pub sparsity: f64,
    /// Whether there are masks at all. Default: yes.
    pub masks: bool,
    /// What the first masks are computed from. Default: nothing.
    pub need: Need,
    /// In how many rounds the first masks are found: [`need`](Self::need) is measured before each.
    /// Default: 1.
    pub rounds: u64,
    /// Whether single layers may be given a density of their own, as N:M does; a density of 1
    /// always may. Methods that move weights between layers, or whose sparsity changes during
    /// training, say no. Default: no.
    pub layer_densities: bool,
    /// Which gradients a change of masks looks at. Default: those of all weights.
    pub gradients: GradientUse,
    /// Over which steps these gradients are summed. Default: one.
    pub memory: GradientMemory,
    /// The value of a weight that has just grown. Default: zero.
    pub regrown: Regrown,
    /// Whether the optimizer takes its step, too, when masks change. Default: yes; RigL's does not.
    pub steps_when_due: bool,
    /// The step before which the model is kept, for every change of masks to return to: weights,
    /// biases, norm parameters and running statistics. The optimizer starts afresh then. What is
    /// frozen by then stays. Default: none.
    pub rewind_step: Option<u64>,
}

/// Which gradients a change of masks looks at.
///
/// A layer whose gradient is missing or zero everywhere, because the loss of that step did not
/// depend on it, [sits out](super::Weight::sits_out) where a method looks at gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GradientUse {
    /// None.
    None,
    /// Those of live weights.
    Live,
    /// Those of dead weights, too, which have to be computed for it. The default.
    #[default]
    All,
}

impl Plan {
    /// The defaults.
    pub fn new(name: &'static str, sparsity: f64) -> Self {
        Self {
            name,
            sparsity,
            masks: true,
            need: Need::Nothing,
            rounds: 1,
            layer_densities: false,
            gradients: GradientUse::All,
            memory: GradientMemory::Batch,
            regrown: Regrown::Zero,
            steps_when_due: true,
            rewind_step: None,
        }
    }

    /// Says that there are no masks: the model stays dense.
    pub fn without_masks(mut self) -> Self {
        self.masks = false;
        self
    }

    /// Sets what the first masks are computed from.
    pub fn with_need(mut self, need: Need) -> Self {
        self.need = need;
        self
    }

    /// Sets in how many rounds the first masks are found.
    pub fn with_rounds(mut self, rounds: u64) -> Self {
        self.rounds = rounds;
        self
    }

    /// Sets whether single layers may be given a density of their own.
    pub fn with_layer_densities(mut self, allowed: bool) -> Self {
        self.layer_densities = allowed;
        self
    }

    /// Sets which gradients a change of masks looks at.
    pub fn with_gradients(mut self, gradients: GradientUse) -> Self {
        self.gradients = gradients;
        self
    }

    /// Sets over which steps gradients are summed.
    pub fn with_memory(mut self, memory: GradientMemory) -> Self {
        self.memory = memory;
        self
    }

    /// Sets the value of a weight that has just grown.
    pub fn with_regrown(mut self, regrown: Regrown) -> Self {
        self.regrown = regrown;
        self
    }

    /// Sets whether the optimizer takes its step, too, when masks change.
    pub fn with_steps_when_due(mut self, steps: bool) -> Self {
        self.steps_when_due = steps;
        self
    }

    /// Sets the step to which every change of masks returns.
    pub fn with_rewind_step(mut self, step: Option<u64>) -> Self {
        self.rewind_step = step;
        self
    }
}
