//! Inside burn's own trainer.
//!
//! burn's `Learner` keeps its data loaders, metrics, checkpoints, early stopping, interface, gradient accumulation and
//! multi-device strategies; the model is wrapped once. [`SparseModel`] measures the gradient at `θ + ε`, keeps dead weights at
//! zero, and changes masks. Masks, history and the number of steps travel in the learner's own checkpoints of the model.
//!
//! | what | how it goes with the learner |
//! |---|---|
//! | gradient accumulation | each micro-batch has a perturbation of its own (m-sharpness) |
//! | several devices | each finds its own `ε` on its part of the batch; gradients are averaged or summed as burn does |
//! | perturbations that remember | what they keep is in the checkpoints, too; of several devices the last to finish a step leaves its memory |
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
//! let mut sparsity = Sparsity::new(RigL::new(0.9, 100));
//! let net = sparsity.attach(net, |net: &Net| net.loss(&batch).0)?;
//! // From here on as any model: `Learner::new(model, SgdConfig::new().init(), 0.1)`.
//! let model = SparseModel::new(net, sparsity, ZoSamConfig::new().build()?, 0)?;
//! let output = model.step(batch);
//! let model = model.optimize(&mut SgdConfig::new().init(), 0.1.into(), output.grads);
//! assert_eq!(model.masks().live_weights(), 20);
//! # }
//! # Ok::<(), zosam::Error>(())
//! ```

mod module;
mod state;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::Tensor;
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use crate::error::{Error, Result};
use crate::masks::Masks;
use crate::optim::{Measured, Wanted, check_usable, descend};
use crate::perturb::Perturbation;
use crate::sparse::{Growth, Sparsity, SparsityReport};
use crate::tree;
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
#[derive(Debug, Clone)]
pub struct SparseModel<M, P> {
    model: M,
    shared: Shared<P>,
}

impl<M: Module, P: Perturbation> SparseModel<M, P> {
    /// Wraps a model whose masks are chosen. `seed` decides random directions and stochastic layers' draws.
    ///
    /// # Errors
    ///
    /// If `sparsity` is not attached to the model or grows weights by a gradient at `θ`, or if the perturbation looks at samples or drifts: the
    /// learner's two halves of a step have no place for these.
    pub fn new(model: M, sparsity: Sparsity, perturbation: P, seed: u64) -> Result<Self> {
        check_usable(&model, &sparsity)?;
        if sparsity.growth() == Growth::Clean {
            return Err(Error::Mismatch {
                what: "growth by a gradient at the unperturbed weights",
                reason: "it needs `step_with`; the learner has the gradient at the perturbed point"
                    .to_string(),
            });
        }
        let unfit = [
            (perturbation.needs_samples(), "that looks at samples"),
            (perturbation.drifts(), "whose descent drifts"),
        ];
        if let Some((_, which)) = unfit.iter().find(|(unfit, _)| *unfit) {
            return Err(Error::Mismatch {
                what: "the perturbation",
                reason: format!("one {which} needs `step_on`; the learner has no place for it"),
            });
        }
        let shared = Shared::new(&model, sparsity, perturbation, seed);
        Ok(Self { model, shared })
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
/// burn's trait has no errors: a checkpoint that does not fit the model, or scores that are NaN where masks change, panic with the
/// message of the [`Error`].
impl<M: LossStep + Module, P: Perturbation> TrainStep for SparseModel<M, P> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, item: M::Input) -> TrainOutput<M::Output> {
        let sparsity = self.shared.settled(&self.model);
        let mut optim = self.shared.measuring();
        let wanted = Wanted {
            clean: false,
            first: self.shared.next_batch(),
            lr: None,
        };
        let loss = |model: &M| model.loss(&item);
        let measured = optim.measure_all(self.model.clone(), &sparsity, [loss], wanted);
        let Measured {
            model,
            gradients,
            mut report,
        } = measured.expect("one loss was given");
        let gradient = optim.descent(&model, &sparsity, gradients, None).gradient;
        self.shared.measured(optim, report.passes);
        let output = report.extra.pop().expect("one loss has one output");
        TrainOutput {
            grads: tree::to_gradients(&model, &gradient),
            item: output,
        }
    }

    fn optimize(
        self,
        optim: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        gradients: GradientsParams,
    ) -> Self {
        let Self { model, shared } = self;
        let gradient = tree::gradients(&model, &gradients);
        let model = shared.change(&model, |sparsity, step, passes| {
            sparsity.keep_rewind_point(step, &model);
            let gradient = sparsity.all_reduced(&model, gradient);
            let growth = gradient.clone();
            sparsity.remember(step, &growth);
            sparsity.account(step, passes);
            let descent = (gradient.into(), growth);
            descend(optim, lr, step, model.clone(), sparsity, descent, None)
        });
        Self { model, shared }
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
