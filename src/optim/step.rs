//! The step.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::{ModuleOptimizer, Optimizer};

use super::measure::{Measured, Wanted};
use super::{SharpOptimizer, StepReport, state};
use crate::error::{Error, Result};
use crate::masks::Masks;
use crate::objective::{BatchLoss, Loss};
use crate::perturb::{Descent, Gradients, Memory, Perturbation};
use crate::sparse::{Growth, MaskUpdate, Sparsity, UNTRAINABLE};
use crate::tree::{self, ParamVector};

impl<P: Perturbation, O: Optimizer> SharpOptimizer<P, O> {
    /// One step: finds `ε`, differentiates at `θ + ε`, and updates `θ`.
    ///
    /// The loss closure sees one batch, captured by it, in every evaluation. It returns the loss, or the
    /// loss and anything else (logits, say), which the report hands back from the pass that was
    /// differentiated.
    ///
    /// It is not called `step`, because burn's trait has a method of that name: with the trait in scope the
    /// compiler would prefer that one.
    ///
    /// The backend's random seed is set before each evaluation, from this optimizer's seed and step
    /// number: dropout draws alike in all evaluations of a step, and alike in a resumed run.
    ///
    /// # Errors
    ///
    /// If `sparsity` has no masks yet or they belong to another model, if a score is NaN when masks
    /// change, or if the perturbation looks at samples of the batch, which a closure does not show. The model is consumed; a clone taken before costs nothing but reference counts.
    pub fn step_with<M, L, F>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: M,
        sparsity: &mut Sparsity,
        loss: F,
    ) -> Result<(M, StepReport<L::Extra>)>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        self.step_on(lr, model, sparsity, loss)
    }

    /// As [`step_with`](Self::step_with), for any [`BatchLoss`]: [`Samples`](crate::objective::Samples), whose parts a perturbation can look at.
    ///
    /// # Errors
    ///
    /// As [`step_with`](Self::step_with).
    pub fn step_on<M: Module, F: BatchLoss<M>>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: M,
        sparsity: &mut Sparsity,
        loss: F,
    ) -> Result<(M, StepReport<F::Extra>)> {
        let (model, report) = self.step_accumulated(lr, model, sparsity, [loss])?;
        Ok((model, report.single()))
    }

    /// One step on several batches whose gradients are averaged: gradient accumulation.
    ///
    /// `g = mean_i ∇L_i(θ + ε_i)`: each batch has a perturbation of its own (Foret et al. call it m-sharpness; a batch of its
    /// own direction, where directions are random), and memory is needed for one batch at a time. With plain steps and losses
    /// that are means over batches of equal size it is the step on their union, but for layers that look at the whole batch
    /// (batch norm). Running statistics advance once per batch.
    ///
    /// The report holds the mean loss, one `extra` per batch, the sum of passes, and the last batch's offset.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::{Linear, LinearConfig}, optim::SgdConfig, tensor::{Device, Tensor}};
    /// use zosam::{ZoSamConfig, sparse::Sparsity};
    /// let device = Device::flex().autodiff();
    /// let model = LinearConfig::new(3, 1).init(&device);
    /// let mut optim = ZoSamConfig::new().init(SgdConfig::new().build()).unwrap();
    /// let batches = [1.0, 2.0].map(|value| Tensor::<2>::full([8, 3], value, &device));
    /// let losses = batches.map(|batch| {
    ///     move |model: &Linear| model.forward(batch.clone()).powi_scalar(2).mean()
    /// });
    /// let (model, report) = optim
    ///     .step_accumulated(0.1, model, &mut Sparsity::dense(), losses)
    ///     .unwrap();
    /// assert_eq!((report.passes.forwards, report.passes.backwards), (4, 2));
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`step_with`](Self::step_with), and if there is no loss at all.
    pub fn step_accumulated<M: Module, F: BatchLoss<M>>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: M,
        sparsity: &mut Sparsity,
        losses: impl IntoIterator<Item = F>,
    ) -> Result<(M, StepReport<Vec<F::Extra>>)> {
        let lr = lr.into();
        check_usable(&model, sparsity)?;
        let step = self.step;
        sparsity.keep_rewind_point(step, &model);
        let clean = sparsity.observes(step) && sparsity.growth() == Growth::Clean;

        let wanted = Wanted {
            clean,
            first: 0,
            lr: Some(lr.base()),
        };
        let Measured {
            model,
            gradients,
            mut report,
        } = self.measure_all(model, sparsity, losses, wanted)?;
        let gradients = Gradients {
            perturbed: sparsity.all_reduced(&model, gradients.perturbed),
            here: gradients
                .here
                .map(|here| sparsity.all_reduced(&model, here)),
            ..gradients
        };
        let growth = match &gradients.here {
            Some(here) if clean => here.clone(),
            _ => gradients.perturbed.clone(),
        };
        sparsity.remember(step, &growth);
        sparsity.account(step, report.passes);

        let descent = self.descent(&model, sparsity, gradients, Some(lr.base()));
        let before = self.masks_to_leave(sparsity);
        let largest = self.largest_norm;
        let descent = (descent, growth);
        let (model, update) = descend(&mut self.base, lr, step, model, sparsity, descent, largest)?;
        self.remember(before, sparsity, update.is_some());
        report.mask_update = update;
        self.step += 1;
        Ok((model, report))
    }

    /// The gradient at `θ + ε`, for use with any burn optimizer or burn-train's `TrainStep`.
    ///
    /// Returns the model with its running statistics advanced, and the gradients under the model's
    /// parameter ids, zero at dead weights. Does not advance the step number: call
    /// [`advance`](Self::advance) once per step, or the directions repeat.
    ///
    /// # Errors
    ///
    /// If `sparsity` has no masks yet, or for a method whose dead weights have values or a perturbation whose descent drifts, which only
    /// [`step_with`](Self::step_with) trains.
    pub fn gradient<M: Module, F: BatchLoss<M>>(
        &mut self,
        model: M,
        sparsity: &Sparsity,
        loss: F,
    ) -> Result<(M, burn::optim::GradientsParams, StepReport<F::Extra>)> {
        check_usable(&model, sparsity)?;
        let refused = |what| {
            Err(Error::Mismatch {
                what,
                reason: "its optimizer's step has to be `step_with`".to_string(),
            })
        };
        if sparsity.has_latent_values() {
            return refused("a method with latent values");
        }
        if self.perturbation.drifts() {
            return refused("a perturbation whose descent drifts");
        }
        let wanted = Wanted {
            clean: false,
            first: 0,
            lr: None,
        };
        let Measured {
            model,
            gradients,
            report,
        } = self.measure_all(model, sparsity, [loss], wanted)?;
        let gradients = Gradients {
            perturbed: sparsity.all_reduced(&model, gradients.perturbed),
            here: gradients
                .here
                .map(|here| sparsity.all_reduced(&model, here)),
            ..gradients
        };
        let gradient = self.descent(&model, sparsity, gradients, None).gradient;
        let gradient = tree::to_gradients(&model, &sparsity.masks().project(gradient));
        Ok((model, gradient, report.single()))
    }

    /// What the perturbation makes of the measured gradients.
    pub(crate) fn descent<M: Module>(
        &mut self,
        model: &M,
        sparsity: &Sparsity,
        gradients: Gradients,
        lr: Option<f64>,
    ) -> Descent {
        let leaves = tree::leaves(model);
        let site = self.site(&leaves, sparsity, self.seed, lr);
        let mut memory = std::mem::take(&mut self.memory);
        let descent = self.perturbation.descend(gradients, site, &mut memory);
        self.memory = memory;
        descent
    }

    /// The masks before a change of masks that the memory has to follow.
    pub(crate) fn masks_to_leave(&self, sparsity: &Sparsity) -> Option<Masks> {
        let follows = !self.memory.is_empty() && sparsity.method().is_due(self.step);
        follows.then(|| sparsity.masks().clone())
    }

    /// Takes the memory through a change of masks; a model that was put back to earlier weights starts without.
    pub(crate) fn remember(&mut self, before: Option<Masks>, sparsity: &Sparsity, changed: bool) {
        match before {
            Some(_) if changed && sparsity.rewinds() => self.memory = Memory::default(),
            Some(before) if changed => self.memory.follow(&before, sparsity.masks()),
            _ => {}
        }
    }

    /// Counts a step that was taken outside [`step_with`](Self::step_with).
    pub fn advance(&mut self) {
        self.step += 1;
    }

    /// Goes on with a loaded memory.
    #[cfg(feature = "train")]
    pub(crate) fn set_memory(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// Goes on from a number of steps.
    #[cfg(feature = "train")]
    pub(crate) fn set_steps(&mut self, steps: u64) {
        self.step = steps;
    }
}

/// The base optimizer's step from `θ`, and the change of masks if one is due, by the gradient that grows weights.
pub(crate) fn descend<M: Module>(
    base: &mut ModuleOptimizer,
    lr: ModuleLearningRate,
    step: u64,
    mut model: M,
    sparsity: &mut Sparsity,
    (Descent { gradient, drift }, growth): (Descent, ParamVector),
    largest_norm: Option<f64>,
) -> Result<(M, Option<MaskUpdate>)> {
    let is_due = sparsity.method().is_due(step);
    if !is_due || sparsity.method().steps_when_due() {
        let (before, gradient) = sparsity.before_step(model, gradient);
        let gradient = tree::to_gradients(&before, &clipped(gradient, largest_norm));
        model = base.step(lr.clone(), before, gradient);
        if let Some(drift) = drift {
            model = drifted(model, &drift, &lr);
        }
        model = sparsity.after_step(model);
    }
    if !is_due {
        return Ok((model, None));
    }
    let (model, update) = sparsity.update(step, model, &growth)?;
    *base = match sparsity.rewinds() {
        true => state::fresh(base)?,
        false => state::keep_only(base, &update.kept)?,
    };
    Ok((model, Some(update)))
}

/// `θ − η · drift`, with the learning rate of each parameter's group.
fn drifted<M: Module>(model: M, drift: &ParamVector, lr: &ModuleLearningRate) -> M {
    let leaves = tree::leaves(&model);
    let rate = |id| {
        let leaf = leaves.iter().find(|leaf| leaf.id == id);
        lr.lr_from_param(id, leaf.map(|leaf| leaf.path.as_str()))
    };
    tree::replace(model, |id, value| {
        let component = drift.get(id)?.clone();
        Some(value - component.mul_scalar(rate(id)))
    })
}

pub(super) fn clipped(gradient: ParamVector, largest_norm: Option<f64>) -> ParamVector {
    let Some(largest) = largest_norm else {
        return gradient;
    };
    match largest / (gradient.norm() + 1e-6) {
        factor if factor >= 1.0 => gradient,
        factor => gradient.scaled(factor),
    }
}

pub(crate) fn check_usable<M: Module>(model: &M, sparsity: &Sparsity) -> Result<()> {
    sparsity.check_attached()?;
    let leaves = tree::leaves(model);
    if leaves.is_empty() {
        return Err(Error::Mismatch {
            what: "the training step",
            reason: UNTRAINABLE.to_string(),
        });
    }
    let known = |id| leaves.iter().any(|leaf| leaf.id == id);
    match sparsity.masks().leaves().find(|masked| !known(masked.id)) {
        None => Ok(()),
        Some(masked) => Err(Error::Mismatch {
            what: "the masks",
            reason: format!(
                "the model has no trainable parameter `{}` of theirs",
                masked.path
            ),
        }),
    }
}
