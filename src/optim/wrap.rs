//! Around a burn optimizer, and in the place of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use burn::optim::{LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

use super::SharpOptimizer;
use crate::error::{self, Result};
use crate::perturb::*;

/// Whether the gradient of a perturbed point was ever asked for; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct MeasuredOnce(Arc<AtomicBool>);

impl MeasuredOnce {
    pub fn note(&self) {
        self.0.store(true, Relaxed);
    }

    /// Warns, once, about a step that no perturbation had a part in.
    fn check(&self) {
        if !self.0.swap(true, Relaxed) {
            error::warn(
                "a sharpness-aware optimizer was used as burn's `Optimizer` on a gradient that it \
                 did not measure: this trains by the base optimizer alone, without a perturbation. \
                 Call its `step_with`, or take the gradients from its `gradient`; in burn's \
                 `Learner` wrap the model in `zosam::train::SparseModel`",
            );
        }
    }
}

/// The base rule, tensor by tensor. It warns once where the gradient is not one of
/// [`gradient`](SharpOptimizer::gradient).
impl<P: Perturbation, O: Optimizer> Optimizer for SharpOptimizer<P, O> {
    type State<const D: usize> = O::State<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        self.measured.check();
        self.rule.step(lr, tensor, grad, state)
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        O::to_device(state, device)
    }
}

impl<P: std::fmt::Debug, O> std::fmt::Debug for SharpOptimizer<P, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharpOptimizer")
            .field("perturbation", &self.course.perturbation)
            .field("base", &std::any::type_name::<O>())
            .field("seed", &self.course.seed)
            .field("step", &self.course.step)
            .finish()
    }
}

macro_rules! init {
    ($($config:ty),*) => {$(
        impl $config {
            /// Puts the perturbation around a burn optimizer: what `init()` of its config returns,
            /// or the bare rule that `build()` returns.
            ///
            /// # Errors
            ///
            /// A field out of its range.
            pub fn init<O>(&self, base: O) -> Result<SharpOptimizer<Self, O>>
            where
                O: Clone + Into<ModuleOptimizer>,
            {
                SharpOptimizer::new(self.clone(), base)
            }
        }
    )*};
}

init!(
    SamConfig,
    AsamConfig,
    GsamConfig,
    EsamConfig,
    LookSamConfig,
    MomentumSamConfig,
    S2SamConfig,
    FriendlySamConfig,
    WsamConfig,
    FisherSamConfig,
    ZoSamConfig,
    RandomSignConfig,
    SharpnessConfig
);
