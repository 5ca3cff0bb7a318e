//! The step: the one place where order matters.

mod report;
mod state;
mod wrap;

pub use report::StepReport;

use burn::grad_clipping::GradientClipping;
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ParamGroup};
use burn::optim::{DynOptimizer, ModuleOptimizer, Optimizer};
use burn::tensor::Bytes;

use crate::error::{Error, Result};
use crate::objective::{Gradient, Loss, Objective};
use crate::perturb::{Ascent, FirstOrder, Identity, Perturbation, PlainReason, Site, ZeroOrder};
use crate::sparse::{Growth, Sparsity, UNTRAINABLE};
use crate::tree;

/// ZO-SAM around a burn optimizer.
pub type ZoSam<O> = SharpOptimizer<ZeroOrder, O>;
/// SAM around a burn optimizer.
pub type Sam<O> = SharpOptimizer<FirstOrder, O>;
/// A burn optimizer on its own, through the same step as the others.
pub type Plain<O> = SharpOptimizer<Identity, O>;

/// A burn optimizer whose gradient is measured at a perturbed point.
///
/// Two ways to use it:
///
/// * [`step_with`](Self::step_with) takes a whole model and its loss as a closure, because finding the perturbation
///   means evaluating the loss. This is the sharpness-aware step.
/// * It implements burn's per-tensor [`Optimizer`] by its base rule, so it goes wherever burn takes an
///   optimizer, a `ModuleOptimizer` say. A single tensor cannot evaluate a loss: on this path the
///   gradient has to come from `θ + ε` already, see [`gradient`](Self::gradient).
///
/// Build one with [`ZoSamConfig::init`](crate::ZoSamConfig::init), [`SamConfig::init`](crate::SamConfig::init) or [`SharpOptimizer::new`]. The base is what
/// `build()` of a burn optimizer's config returns.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::{Linear, LinearConfig}, optim::SgdConfig, tensor::{Device, Tensor}};
/// use zosam::{ZoSamConfig, sparse::Sparsity};
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(3, 1).init(&device);
/// let batch = Tensor::<2>::ones([8, 3], &device);
/// let mut optim = ZoSamConfig::new().init(SgdConfig::new().build()).unwrap();
/// let (model, report) = optim
///     .step_with(0.1, model, &mut Sparsity::dense(), |model: &Linear| {
///         model.forward(batch.clone()).powi_scalar(2).mean()
///     })
///     .unwrap();
/// assert_eq!((report.passes.forwards, report.passes.backwards), (2, 1));
/// # }
/// ```
#[derive(Clone)]
pub struct SharpOptimizer<P, O> {
    perturbation: P,
    rule: O,
    base: ModuleOptimizer,
    seed: u64,
    step: u64,
}

impl<P: Perturbation, O: Optimizer> SharpOptimizer<P, O> {
    /// Puts a perturbation around a base optimizer.
    pub fn new(perturbation: P, base: O) -> Self {
        Self {
            perturbation,
            base: ModuleOptimizer::from(base.clone()),
            rule: base,
            seed: 0,
            step: 0,
        }
    }

    /// Sets the seed of random directions and of stochastic layers' draws. Default 0.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Clips gradients before the base optimizer, as burn does: each tensor on its own.
    ///
    /// burn attaches the clipping of an optimizer's config in `init`, not in `build`, so it has to be
    /// repeated here.
    pub fn with_grad_clipping(mut self, clipping: GradientClipping) -> Self {
        self.base = self.base.with_grad_clipping(clipping);
        self
    }

    /// Uses another optimizer for a group of parameters, as burn's `ModuleOptimizer` does.
    pub fn with_group<G: DynOptimizer + 'static>(
        mut self,
        group: ParamGroup,
        optimizer: G,
        clipping: Option<GradientClipping>,
    ) -> Self {
        self.base = self.base.with_group(group, optimizer, clipping);
        self
    }

    /// Number of steps taken, those that changed masks included.
    pub fn steps(&self) -> u64 {
        self.step
    }

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
    /// If `sparsity` has no masks yet or they belong to another model, or if a score is NaN when masks
    /// change. The model is consumed; a clone taken before costs nothing but reference counts.
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
        check_usable(&model, sparsity)?;
        let step = self.step;
        sparsity.keep_rewind_point(step, &model);
        let mut objective = Objective::new(&model, &loss, self.draw_seed());

        let (gradient, buffers, mut report) = self.measure(&mut objective, sparsity);
        let gradient = sparsity.all_reduced(&model, gradient);
        let is_due = sparsity.method().is_due(step);
        let growth = match (sparsity.observes(step), sparsity.growth()) {
            (true, Growth::Clean) => {
                let clean = objective.gradient(None).vector;
                sparsity.all_reduced(&model, clean)
            }
            _ => gradient.clone(),
        };
        sparsity.remember(step, &growth);
        report.passes = objective.passes();
        sparsity.account(step, report.passes);

        let mut model = tree::adopt_buffers(model.clone(), &buffers);
        if !is_due || sparsity.method().steps_when_due() {
            let (before, gradient) = sparsity.before_step(model, gradient);
            let gradient = tree::to_gradients(&before, &gradient);
            model = self.base.step(lr, before, gradient);
            model = sparsity.after_step(model);
        }
        if is_due {
            let (updated, update) = sparsity.update(step, model, &growth)?;
            self.base = match sparsity.rewinds() {
                true => state::fresh(&self.base)?,
                false => state::keep_only(&self.base, &update.kept)?,
            };
            model = updated;
            report.mask_update = Some(update);
        }
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
    /// If `sparsity` has no masks yet, or a method whose dead weights have values, which only
    /// [`step_with`](Self::step_with) trains.
    pub fn gradient<M, L, F>(
        &mut self,
        model: M,
        sparsity: &Sparsity,
        loss: F,
    ) -> Result<(M, burn::optim::GradientsParams, StepReport<L::Extra>)>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        check_usable(&model, sparsity)?;
        if sparsity.has_latent_values() {
            return Err(Error::Mismatch {
                what: "a method with latent values",
                reason: "its optimizer's step has to be `step_with`".to_string(),
            });
        }
        let mut objective = Objective::new(&model, &loss, self.draw_seed());
        let (gradient, buffers, mut report) = self.measure(&mut objective, sparsity);
        report.passes = objective.passes();
        let gradient = sparsity.all_reduced(&model, gradient);
        let model = tree::adopt_buffers(model.clone(), &buffers);
        let gradient = tree::to_gradients(&model, &sparsity.masks().project(gradient));
        Ok((model, gradient, report))
    }

    /// Counts a step that was taken outside [`step_with`](Self::step_with).
    pub fn advance(&mut self) {
        self.step += 1;
    }

    /// Ascent and descent gradient: lines 1 to 3 of the algorithm.
    fn measure<M, L, F>(
        &mut self,
        objective: &mut Objective<'_, M, F>,
        sparsity: &Sparsity,
    ) -> (tree::ParamVector, M, StepReport<L::Extra>)
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        let leaves = tree::leaves(objective.model());
        let site = Site {
            leaves: &leaves,
            masks: sparsity.masks(),
            seed: self.seed,
            step: self.step,
        };
        let Ascent {
            offset,
            forward,
            buffers,
            mut plain,
        } = match sparsity.method().perturbs(self.step) {
            true => self.perturbation.ascend(objective, site),
            false => Ascent::given_up(PlainReason::Method),
        };
        let forward = forward.unwrap_or_else(|| objective.forward(offset.as_ref()));
        // A perturbed loss that is not finite would put NaN into the weights; the unperturbed one is
        // the user's to judge, exactly as with the base optimizer alone.
        let forward = match offset.is_some() && !forward.loss().is_finite() {
            true => {
                plain = Some(PlainReason::NonFinite);
                drop(forward);
                objective.forward(None)
            }
            false => forward,
        };
        let Gradient {
            loss,
            vector,
            extra,
            twin,
        } = objective.backward(forward);
        let report = StepReport {
            loss,
            extra,
            passes: objective.passes(),
            offset: offset.filter(|_| plain.is_none()),
            plain,
            mask_update: None,
        };
        (vector, buffers.unwrap_or(twin), report)
    }

    /// The optimizer's state as bytes in burn's record format; the step number is
    /// [`steps`](Self::steps).
    ///
    /// # Errors
    ///
    /// If the record cannot be written.
    pub fn to_bytes(&self) -> Result<Bytes> {
        self.base.into_bytes().map_err(unfit)
    }

    /// Takes over the state and step number of another optimizer of the same configuration.
    ///
    /// # Errors
    ///
    /// If the bytes are not an optimizer's record.
    pub fn from_bytes(mut self, bytes: Bytes, steps: u64) -> Result<Self> {
        self.base = state::load(&self.base, bytes)?;
        self.step = steps;
        Ok(self)
    }

    /// The seed for stochastic layers in this step, different from that of any other step.
    fn draw_seed(&self) -> u64 {
        // Two odd multipliers keep (seed, step) pairs apart; the backend's generator does the mixing.
        self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ self.step.wrapping_mul(0xd1b5_4a32_d192_ed03)
    }
}

fn check_usable<M: Module>(model: &M, sparsity: &Sparsity) -> Result<()> {
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

fn unfit(reason: impl ToString) -> Error {
    Error::Mismatch {
        what: "the optimizer's record",
        reason: reason.to_string(),
    }
}
