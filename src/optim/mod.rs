//! The step: the one place where order matters.

mod average;
mod course;
mod descend;
mod forward_only;
mod found;
mod mean;
mod measure;
mod report;
mod state;
mod step;
mod stepped;
mod wrap;

pub use average::WeightAverage;
#[cfg(feature = "train")]
pub(crate) use course::{Course, usable_leaves};
pub use forward_only::{ForwardOnly, ForwardRule};
#[cfg(feature = "train")]
pub(crate) use found::Found;
#[cfg(feature = "train")]
pub(crate) use measure::Measured;
pub use report::{GradientResult, StepReport, StepResult};

use burn::grad_clipping::GradientClipping;
use burn::module::{Module, ParamGroup};
use burn::optim::{DynOptimizer, ModuleOptimizer};
use burn::tensor::Bytes;

#[cfg(not(feature = "train"))]
use course::Course;
use wrap::MeasuredOnce;

use crate::error::{Error, Result, Source, check};
use crate::masks::Masks;
use crate::perturb::{Identity, Memory, Perturbation, SamConfig, Schedule, ZoSamConfig};

/// ZO-SAM around a burn optimizer.
pub type ZoSam<O = ModuleOptimizer> = SharpOptimizer<ZoSamConfig, O>;
/// SAM around a burn optimizer.
pub type Sam<O = ModuleOptimizer> = SharpOptimizer<SamConfig, O>;
/// A burn optimizer on its own, through the same step as the others.
pub type Plain<O = ModuleOptimizer> = SharpOptimizer<Identity, O>;

/// A burn optimizer whose gradient is measured at a perturbed point.
///
/// The base is the optimizer that you have: what `init()` of a burn optimizer's config returns,
/// with its parameter groups, its clipping and its state, or the bare rule that `build()` returns.
/// [`step_with`](Self::step_with) takes a whole model and its loss as a closure, because finding
/// the perturbation means evaluating the loss.
///
/// Around a bare rule it also implements burn's per-tensor [`Optimizer`](burn::optim::Optimizer),
/// by that rule, so that it goes wherever burn takes an optimizer. A single tensor cannot evaluate
/// a loss: on this path the gradient has to come from `θ + ε` already, see
/// [`gradient`](Self::gradient). If it does not, the step is the base rule's, and a warning says
/// so. In burn's `Learner` use [`SparseModel`](crate::train) instead (feature `train`).
///
/// Build one with [`ZoSamConfig::init`](crate::ZoSamConfig::init),
/// [`SamConfig::init`](crate::SamConfig::init) or [`SharpOptimizer::new`].
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::grad_clipping::GradientClippingConfig;
/// use burn::{nn::{Linear, LinearConfig}, optim::SgdConfig, tensor::{Device, Tensor}};
/// use zosam::{ZoSamConfig, sparse::Sparsity};
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(3, 1).init(&device);
/// let batch = Tensor::<2>::ones([8, 3], &device);
/// let clipping = Some(GradientClippingConfig::Norm(1.0));
/// let sgd = SgdConfig::new().with_gradient_clipping(clipping).init();
/// let mut optim = ZoSamConfig::new().init(sgd).unwrap();
/// let (model, report) = optim
///     .step_with(0.1, model, &mut Sparsity::dense(), |model: &Linear| {
///         model.forward(batch.clone()).powi_scalar(2).mean()
///     })
///     .unwrap();
/// assert_eq!((report.passes.forwards, report.passes.backwards), (2, 1));
/// # }
/// ```
#[derive(Clone)]
pub struct SharpOptimizer<P, O = ModuleOptimizer> {
    course: Course<P>,
    rule: O,
    base: ModuleOptimizer,
    measured: MeasuredOnce,
}

impl<P: Perturbation, O> SharpOptimizer<P, O> {
    /// Puts a perturbation around a base optimizer.
    ///
    /// # Errors
    ///
    /// If the perturbation's configuration is [not valid](Perturbation::validate).
    pub fn new(perturbation: P, base: O) -> Result<Self>
    where
        O: Clone + Into<ModuleOptimizer>,
    {
        perturbation.validate()?;
        Ok(Self {
            course: Course::new(perturbation),
            base: base.clone().into(),
            rule: base,
            measured: MeasuredOnce::default(),
        })
    }

    /// Sets the seed of random directions and of stochastic layers' draws. Default 0.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.course.seed = seed;
        self
    }

    /// Sets at which steps the perturbation is made. Default: at all.
    pub fn with_schedule(mut self, schedule: Schedule) -> Self {
        self.course.schedule = schedule;
        self
    }

    /// Clips gradients before the base optimizer, as burn does: each tensor on its own.
    ///
    /// A base that `init()` made has the clipping of its config already; one that `build()` made
    /// has not.
    pub fn with_grad_clipping(mut self, clipping: GradientClipping) -> Self {
        self.base = self.base.with_grad_clipping(clipping);
        self
    }

    /// Scales the whole gradient down to a norm, if it is larger, before the base optimizer.
    ///
    /// `g · min(1, largest / (‖g‖ + 1e-6))` with the norm over all live weights: PyTorch's
    /// `clip_grad_norm_`. Applies to [`step_with`](Self::step_with) and
    /// [`step_accumulated`](Self::step_accumulated). Reads one number from the device.
    ///
    /// # Errors
    ///
    /// If `largest` is not finite and greater than 0.
    pub fn with_global_norm_clipping(mut self, largest: f64) -> Result<Self> {
        check(
            "global_norm_clipping",
            largest,
            largest > 0.0,
            "finite and greater than 0",
        )?;
        self.course.largest_norm = Some(largest);
        Ok(self)
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
        self.course.step
    }

    /// The optimizer's state as bytes in burn's record format; the step number is
    /// [`steps`](Self::steps), what a perturbation remembers
    /// [`memory_to_bytes`](Self::memory_to_bytes).
    ///
    /// # Errors
    ///
    /// If the record cannot be written.
    pub fn to_bytes(&self) -> Result<Bytes> {
        self.base.into_bytes().map_err(unreadable)
    }

    /// What the perturbation has kept from earlier steps.
    pub fn memory(&self) -> &Memory {
        &self.course.memory
    }

    /// What the perturbation has kept from earlier steps, as bytes.
    ///
    /// # Errors
    ///
    /// If the record cannot be written.
    pub fn memory_to_bytes(&self) -> Result<Bytes> {
        self.course.memory.to_bytes()
    }

    /// Goes on with what [`memory_to_bytes`](Self::memory_to_bytes) wrote, for the model and the
    /// masks of that moment.
    ///
    /// # Errors
    ///
    /// If the bytes are no record or do not fit the model and its masks.
    pub fn with_memory<M: Module>(
        mut self,
        bytes: Bytes,
        model: &M,
        masks: &Masks,
    ) -> Result<Self> {
        self.course.memory = Memory::from_bytes(bytes, model, masks)?;
        Ok(self)
    }

    /// Takes over the state and step number of another optimizer of the same configuration.
    ///
    /// # Errors
    ///
    /// If the bytes are not an optimizer's record.
    pub fn from_bytes(mut self, bytes: Bytes, steps: u64) -> Result<Self> {
        self.base = state::restored(&self.base, bytes)?;
        self.course.step = steps;
        Ok(self)
    }
}

fn unreadable(source: impl Into<Source>) -> Error {
    Error::record("the optimizer's state", source)
}

fn unfit(reason: impl ToString) -> Error {
    Error::mismatch("the optimizer's record", reason)
}
