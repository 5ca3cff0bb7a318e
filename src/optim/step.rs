//! The step of a whole model.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;

use super::found::Found;
use super::measure::Measured;
use super::{GradientResult, SharpOptimizer, StepResult};
use crate::error::Failed;
use crate::objective::{BatchLoss, Loss};
use crate::perturb::Perturbation;
use crate::sparse::Sparsity;
use crate::tree;

impl<P: Perturbation, O> SharpOptimizer<P, O> {
    /// One step: finds `ε`, differentiates at `θ + ε`, and updates `θ`.
    ///
    /// The loss closure sees one batch, captured by it, in every evaluation. It returns the loss,
    /// or the loss and anything else (logits, say), which the report hands back from the pass that
    /// was differentiated.
    ///
    /// It is not called `step`, because burn's trait has a method of that name: with the trait in
    /// scope the compiler would prefer that one.
    ///
    /// The backend's random seed is set before each evaluation, from this optimizer's seed and step
    /// number: dropout draws alike in all evaluations of a step, and alike in a resumed run. The
    /// evaluations of several threads [take turns](crate::objective::seeded) for that, so the
    /// closure must not wait for another thread's step.
    ///
    /// # Errors
    ///
    /// If `sparsity` has no masks yet or they belong to another model, if a score is NaN when masks
    /// change, or if the perturbation looks at samples of the batch, which a closure does not show.
    /// The error hands the model back as it was before the step.
    pub fn step_with<M, L, F>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: M,
        sparsity: &mut Sparsity,
        loss: F,
    ) -> StepResult<M, L::Extra>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        self.step_on(lr, model, sparsity, loss)
    }

    /// As [`step_with`](Self::step_with), for any [`BatchLoss`]:
    /// [`Samples`](crate::objective::Samples), whose parts a perturbation can look at.
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
    ) -> StepResult<M, F::Extra> {
        let (model, report) = self.step_accumulated(lr, model, sparsity, [loss])?;
        Ok((model, report.single()))
    }

    /// One step on several batches whose gradients are averaged: gradient accumulation.
    ///
    /// `g = Σᵢ nᵢ ∇Lᵢ(θ + εᵢ) / Σᵢ nᵢ`, with `nᵢ` the number of samples of a
    /// [`Samples`](crate::objective::Samples) or a [`Counted`](crate::objective::Counted) loss;
    /// plain closures do not tell it and weigh the same. Each batch has a perturbation of its own
    /// (Foret et al. call it m-sharpness; a batch of its own direction, where directions are
    /// random), and memory is needed for one batch at a time. With plain steps and losses that are
    /// means over their samples it is the step on the union of the batches, but for layers that
    /// look at a whole batch (batch norm). Running statistics advance once per batch. Empty batches
    /// are left out.
    ///
    /// The report holds the loss averaged as the gradients are, one `extra` per batch, the sum of
    /// passes, and the last batch's offset.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::{Linear, LinearConfig}, optim::SgdConfig, tensor::{Device, Tensor}};
    /// use zosam::{ZoSamConfig, sparse::Sparsity};
    /// let device = Device::flex().autodiff();
    /// let model = LinearConfig::new(3, 1).init(&device);
    /// let mut optim = ZoSamConfig::new().init(SgdConfig::new().init()).unwrap();
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
    #[allow(clippy::type_complexity, reason = "a name would hide what comes back")]
    pub fn step_accumulated<M: Module, F: BatchLoss<M>>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: M,
        sparsity: &mut Sparsity,
        losses: impl IntoIterator<Item = F>,
    ) -> StepResult<M, Vec<F::Extra>> {
        let (lr, course) = (lr.into(), &mut self.course);
        let begun = course.begin(&model, sparsity);
        let kept = sparsity.is_due(course.step).then(|| tree::twin(&model));
        let measured =
            begun.and_then(|()| course.measure(&model, sparsity, losses, 0, Some(lr.base())));
        let measured = measured.map_err(|error| Failed::new(error, model))?;
        let Measured { found, mut report } = measured;
        let found = found.reduced(sparsity);
        let finished = course.finish(&mut self.base, lr, found, sparsity);
        let (model, update) = finished
            .map_err(|error| Failed::new(error, kept.expect("only a change of masks fails")))?;
        report.mask_update = update;
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
    /// If `sparsity` has no masks yet, or for a method whose dead weights have values or a
    /// perturbation whose descent drifts, which only [`step_with`](Self::step_with) trains. The
    /// error hands the model back.
    #[allow(clippy::type_complexity, reason = "a name would hide what comes back")]
    pub fn gradient<M: Module, F: BatchLoss<M>>(
        &mut self,
        model: M,
        sparsity: &Sparsity,
        loss: F,
    ) -> GradientResult<M, F::Extra> {
        let course = &mut self.course;
        let usable = course.begin_gradient(&model, sparsity);
        let measured = usable.and_then(|()| course.measure(&model, sparsity, [loss], 0, None));
        let Measured { found, report } = measured.map_err(|error| Failed::new(error, model))?;
        let found = found.reduced(sparsity);
        let Found {
            model,
            gradients,
            weights,
            ..
        } = found;
        let descent = course.descent(&model, weights, sparsity, gradients, None);
        let gradient = sparsity.masks().project(descent.gradient);
        let gradient = tree::to_gradients(&model, &gradient);
        self.measured.note();
        Ok((model, gradient, report.single()))
    }

    /// Counts a step that was taken outside [`step_with`](Self::step_with).
    pub fn advance(&mut self) {
        self.course.step += 1;
    }
}
