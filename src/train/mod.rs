//! Inside burn's own trainer.
//!
//! burn's `Learner` keeps its data loaders, metrics, checkpoints, early stopping, interface,
//! gradient accumulation and multi-device strategies; the model is wrapped once. [`SparseModel`]
//! measures the gradient at `θ + ε`, keeps dead weights at zero, and changes masks. Masks, history
//! and the number of steps travel in the learner's own checkpoints of the model.
//!
//! | what | how it goes with the learner |
//! |---|---|
//! | gradient accumulation | each micro-batch has a perturbation of its own (m-sharpness) |
//! | several devices | each finds its own `ε` on its part of the batch, along directions of its own; burn adds the gradients up, and running statistics are those of the first device's batches (`MultiDevice`; its distributed strategy keeps a model per device and is refused) |
//! | perturbations that remember | what they keep is in the checkpoints, too |
//! | learning rate | the learner's schedule; a method that rewinds does not turn it back |
//! | optimizer, clipping, groups | the learner's; its state is zeroed where weights die or come to life |
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::module::Module;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::optim::SgdConfig;
//! use burn::tensor::{Device, Tensor};
//! use burn::train::TrainStep;
//! use zosam::train::{LossStep, SparseModel};
//! use zosam::{RigL, Sparsity, ZoSamConfig};
//!
//! #[derive(Module, Debug)]
//! struct Net {
//!     linear: Linear,
//! }
//!
//! impl LossStep for Net {
//!     type Input = Tensor<2>;
//!     type Output = ();
//!
//!     fn loss(&self, batch: &Tensor<2>) -> (Tensor<1>, ()) {
//!         (self.linear.forward(batch.clone()).powi_scalar(2).mean(), ())
//!     }
//! }
//!
//! let device = Device::flex().autodiff();
//! let batch = Tensor::<2>::ones([8, 20], &device);
//! let net = Net { linear: LinearConfig::new(20, 10).init(&device) };
//! let mut sparsity = Sparsity::new(RigL::new(0.9).until(100));
//! let net = sparsity.attach(net, |net: &Net| net.loss(&batch).0)?;
//! // From here on as any model: `Learner::new(model, SgdConfig::new().init(), 0.1)`.
//! let model = SparseModel::new(net, sparsity, ZoSamConfig::new(), 0)?;
//! let output = model.step(batch);
//! let model = model.optimize(&mut SgdConfig::new().init(), 0.1.into(), output.grads);
//! assert_eq!(model.masks().live_weights(), 20);
//! # }
//! # Ok::<(), zosam::Error>(())
//! ```

mod lineage;
mod module;
mod pending;
mod state;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::Tensor;
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use crate::error::{Error, Result};
use crate::masks::Masks;
use crate::optim::{Measured, usable_leaves};
use crate::perturb::Perturbation;
use crate::sparse::{Sparsity, SparsityReport};
use crate::tree;
use lineage::Lineage;
use state::Shared;

/// The loss of a model on an item of the learner's data loader.
pub trait LossStep {
    /// What the data loader makes.
    type Input: Send + 'static;
    /// What the learner's metrics take.
    type Output: ItemLazy + 'static;

    /// The loss, and the output of the same forward pass. It is evaluated several times per step.
    fn loss(&self, item: &Self::Input) -> (Tensor<1>, Self::Output);
}

/// A model that burn's learner trains with a perturbation and a sparsity method.
///
/// Clones share the masks and the number of steps, as they share running statistics.
#[derive(Debug)]
pub struct SparseModel<M, P> {
    model: M,
    shared: Shared<P>,
    lineage: Lineage,
}

impl<M: Clone, P> Clone for SparseModel<M, P> {
    fn clone(&self) -> Self {
        Self {
            model: self.model.clone(),
            shared: self.shared.clone(),
            lineage: self.lineage.clone(),
        }
    }
}

impl<M: Module, P: Perturbation> SparseModel<M, P> {
    /// Wraps a model whose masks are chosen. `seed` decides random directions and stochastic
    /// layers' draws.
    ///
    /// # Errors
    ///
    /// If `sparsity` is not attached to the model, if the perturbation's configuration is not valid,
    /// or if it looks at samples, which the learner does not show.
    pub fn new(model: M, sparsity: Sparsity, perturbation: P, seed: u64) -> Result<Self> {
        usable_leaves(&model, &sparsity)?;
        perturbation.validate()?;
        if perturbation.needs_samples() {
            return Err(Error::Unsupported {
                what: "a perturbation that looks at samples",
                reason: "the learner does not show them",
                instead: "take steps by `step_on`, with `objective::Samples`",
            });
        }
        let shared = Shared::new(&model, sparsity, perturbation, seed);
        Ok(Self::with_shared(model, shared))
    }

    fn with_shared(model: M, shared: Shared<P>) -> Self {
        Self {
            model,
            shared,
            lineage: Lineage::default(),
        }
    }

    /// The model itself.
    pub fn inner(&self) -> &M {
        &self.model
    }

    /// The model itself, without the wrapper.
    pub fn into_inner(self) -> M {
        self.model
    }

    /// The masks as they are now.
    pub fn masks(&self) -> Masks {
        self.shared.settled(&self.model).masks().clone()
    }

    /// Live counts and densities, per layer and over all.
    pub fn report(&self) -> SparsityReport {
        self.shared.settled(&self.model).report(&self.model)
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        // What a loaded record says of the steps counts.
        drop(self.shared.settled(&self.model));
        self.shared.steps()
    }
}

/// # Panics
///
/// burn's trait has no errors: a checkpoint that does not fit the model, scores that are NaN where
/// masks change, or a strategy that trains a model of its own on each device panic with a message.
impl<M: LossStep + Module, P: Perturbation> TrainStep for SparseModel<M, P> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: M::Input) -> TrainOutput<M::Output> {
        assert!(
            !tree::is_distributed(&self.model),
            "burn's distributed strategy trains one model per device, and masks are of one model: \
             use `ExecutionStrategy::multi`, or `step_with` with `Sparsity::with_all_reduce`"
        );
        let course = self.shared.begin(&self.model);
        let worker = self.lineage.worker();
        let first = self.shared.next_batch(worker);
        // The copies of burn's workers share running statistics, whatever their device: those of
        // the first worker's batches count, and not those of the fastest.
        let model = match worker {
            0 => self.model.clone(),
            _ => tree::twin(&self.model),
        };
        let loss = |model: &M| model.loss(&item);
        let sparsity = self.shared.settled(&self.model);
        let measured = course.measure(&model, &sparsity, [loss], first, None);
        drop(sparsity);
        let Measured { found, mut report } = measured.expect("one loss was given");
        let item = report.extra.pop().expect("one loss has one output");
        let grads = tree::to_gradients(&found.model, &found.gradients.perturbed);
        self.shared.keep(worker, found);
        TrainOutput { grads, item }
    }

    fn optimize(
        self,
        optim: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        gradients: GradientsParams,
    ) -> Self {
        let gradient = tree::gradients(&self.model, &gradients);
        let model = self.shared.finish(self.model, gradient, optim, lr);
        Self::with_shared(model, self.shared)
    }

    fn optimize_multi(
        self,
        optim: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        mut gradients: MultiGradientsParams,
    ) -> Self {
        // Masks are chosen by the whole gradient, so it comes together before the step.
        let whole = module::summed(&self.model, &mut gradients);
        self.optimize(optim, lr, whole)
    }
}

impl<M: InferenceStep, P> InferenceStep for SparseModel<M, P> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: M::Input) -> M::Output {
        self.model.step(item)
    }
}
