//! Training without a backward pass.

use std::sync::Arc;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::Optimizer;
use serde::{Deserialize, Serialize};

use super::step::{check_usable, clipped, descend};
use super::{SharpOptimizer, StepReport};
use crate::error::{Error, Result};
use crate::objective::{BatchLoss, Objective, Offset};
use crate::perturb::{Directions, PlainReason, ZeroOrder, ZoSamConfig};
use crate::sparse::Sparsity;
use crate::tree::{self, ParamVector};

/// What becomes of the estimated gradient `ĝ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardRule {
    /// The base optimizer gets `ĝ`: ZO-SGD (MeZO), with momentum ZO-SGD-MMT, with Adam ZO-Adam, with Adam and AMSGrad ZO-AdaMM.
    #[default]
    Estimate,
    /// The base optimizer gets the sign of each component of `ĝ`: ZO-signSGD (Liu et al., ICLR 2019).
    Sign,
    /// The base optimizer steps along `ĝ` and against it, and the better of the three points is kept, the old one included: two to three more forwards
    /// (ZO-SGD-Cons; Zhang et al., arXiv 2402.11592).
    Conservative,
}

/// A burn optimizer that is fed a gradient estimated by forward passes alone.
///
/// `ĝ = (1/m) Σᵢ Δᵢ uᵢ` with the difference quotients `Δᵢ` of the loss along random directions `uᵢ`, in the live subspace: the estimator of
/// [`ZoSamConfig`], whose `rho` only sets the distance of probes where [`Delta`](crate::perturb::Delta) is relative to it. 2m forwards a
/// step (one-sided m + 1), no backward, no graph: memory is that of inference. Running statistics are those of the first pass. Methods
/// that grow weights by a dense gradient are refused: there is none.
///
/// Malladi et al., "Fine-Tuning Language Models with Just Forward Passes" (MeZO), NeurIPS 2023 (arXiv 2305.17333). Unlike MeZO's code, weights are
/// not moved and moved back, which would round; weight decay is the base optimizer's.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::{Linear, LinearConfig}, optim::SgdConfig, tensor::{Device, Tensor}};
/// use zosam::{ZoSamConfig, optim::{ForwardOnly, ForwardRule}, perturb::Delta, sparse::Sparsity};
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(3, 1).init(&device);
/// let batch = Tensor::<2>::ones([8, 3], &device);
/// let estimator = ZoSamConfig::new().with_delta(Delta::Absolute(1e-3));
/// let mut optim = ForwardOnly::new(estimator, ForwardRule::Estimate, SgdConfig::new().build())?;
/// let loss = |model: &Linear| model.forward(batch.clone()).powi_scalar(2).mean();
/// let (model, report) = optim.step_on(0.01, model, &mut Sparsity::dense(), loss)?;
/// assert_eq!((report.passes.forwards, report.passes.backwards), (2, 0));
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ForwardOnly<O> {
    optim: SharpOptimizer<ZeroOrder, O>,
    rule: ForwardRule,
}

impl<O: Optimizer> ForwardOnly<O> {
    /// Puts an estimator before a base optimizer.
    ///
    /// # Errors
    ///
    /// A field out of its range, or directions guided by gradients, kept for several steps or probed on a part of the batch.
    pub fn new(estimator: ZoSamConfig, rule: ForwardRule, base: O) -> Result<Self> {
        let guided = matches!(estimator.family, Directions::Guided(_));
        if guided || estimator.reuse > 1 || estimator.fraction < 1.0 {
            return Err(Error::Mismatch {
                what: "the estimator of an optimizer without backward passes",
                reason: "its directions are drawn anew at each step and probed on the whole batch"
                    .to_string(),
            });
        }
        let optim = SharpOptimizer::new(estimator.build()?, base);
        Ok(Self { optim, rule })
    }

    /// Changes what is kept around the base optimizer: seed, groups, clipping, or a state that was loaded.
    pub fn with(
        self,
        change: impl FnOnce(SharpOptimizer<ZeroOrder, O>) -> SharpOptimizer<ZeroOrder, O>,
    ) -> Self {
        Self {
            optim: change(self.optim),
            ..self
        }
    }

    /// What checkpoints save.
    pub fn optimizer(&self) -> &SharpOptimizer<ZeroOrder, O> {
        &self.optim
    }

    /// One step: estimates the gradient at `θ` and updates `θ`.
    ///
    /// The report's loss and extra are of the pass at `θ` for one-sided differences, otherwise of the first probe.
    ///
    /// # Errors
    ///
    /// If `sparsity` has no masks yet, belongs to another model or grows weights by their gradient.
    pub fn step_on<M: Module, F: BatchLoss<M>>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: M,
        sparsity: &mut Sparsity,
        loss: F,
    ) -> Result<(M, StepReport<F::Extra>)> {
        self.step_along(lr, model, sparsity, loss, None)
    }

    /// As [`step_on`](Self::step_on), along m directions of the caller's, whose components are in the order of the model's parameters.
    ///
    /// # Errors
    ///
    /// As [`step_on`](Self::step_on).
    pub fn step_along<M: Module, F: BatchLoss<M>>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: M,
        sparsity: &mut Sparsity,
        loss: F,
        directions: Option<Vec<ParamVector>>,
    ) -> Result<(M, StepReport<F::Extra>)> {
        check_usable(&model, sparsity)?;
        if sparsity.method().needs_dense_gradient() {
            return Err(Error::Mismatch {
                what: "a method that needs the gradient of dead weights",
                reason: "forward passes along live directions do not show it".to_string(),
            });
        }
        let (optim, lr) = (&mut self.optim, lr.into());
        let (step, leaves) = (optim.step, tree::leaves(&model));
        sparsity.keep_rewind_point(step, &model);
        let site = optim.site(&leaves, sparsity, optim.seed, Some(lr.base()));
        let scope = Arc::new(sparsity.scope(optim.step));
        let mut objective = Objective::new(&model, loss, optim.draw_seed()).within(scope);
        let estimator = &optim.perturbation;
        let directions: Box<dyn Iterator<Item = ParamVector>> = match directions {
            Some(given) => Box::new(given.into_iter().map(|one| sparsity.masks().project(one))),
            None => estimator.directions(&model, site, &optim.memory),
        };
        let share = match estimator.is_a_basis() {
            true => 1.0,
            false => 1.0 / estimator.config.directions as f64,
        };
        let weight = |quotient: f64| share * quotient;
        let found = estimator.estimate(&mut objective, site, directions, weight);
        let pass = found.base.or(found.first);
        let pass = pass.unwrap_or_else(|| objective.probe(None));
        let gradient = found.sum;
        let gradient = gradient.filter(|gradient| gradient.norm().is_finite());
        let plain = gradient.is_none().then_some(PlainReason::NonFinite);
        let gradient = gradient.unwrap_or_default();
        let gradient = sparsity.all_reduced(&model, gradient);

        let (loss, extra, twin) = pass.into_parts();
        let gradient = match self.rule {
            ForwardRule::Estimate => gradient,
            ForwardRule::Sign => gradient.map(|_, component| component.sign()),
            ForwardRule::Conservative => conservative(optim, &lr, &mut objective, gradient),
        };
        let passes = objective.passes();
        sparsity.account(step, passes);
        let before = tree::adopt_buffers(model.clone(), &twin);
        let masks = optim.masks_to_leave(sparsity);
        let largest = optim.largest_norm;
        let descent = (gradient.clone().into(), gradient);
        let (model, mask_update) = descend(
            &mut optim.base,
            lr,
            step,
            before,
            sparsity,
            descent,
            largest,
        )?;
        optim.remember(masks, sparsity, mask_update.is_some());
        optim.advance();
        let report = StepReport {
            loss,
            extra,
            passes,
            offset: None,
            plain,
            mask_update,
        };
        Ok((model, report))
    }
}

/// The gradient, its opposite or none: whichever step of the base optimizer ends lowest.
fn conservative<M: Module, F: BatchLoss<M>, O: Optimizer>(
    optim: &SharpOptimizer<ZeroOrder, O>,
    lr: &ModuleLearningRate,
    objective: &mut Objective<'_, M, F>,
    gradient: ParamVector,
) -> ParamVector {
    let model = objective.model();
    let values = tree::values(model);
    let mut best = (objective.value(None), ParamVector::default());
    for sign in [1.0, -1.0] {
        let candidate = gradient.clone().scaled(sign);
        let used = tree::to_gradients(model, &clipped(candidate.clone(), optim.largest_norm));
        let moved = optim.base.clone().step(lr.clone(), model.clone(), used);
        let offset = Offset {
            direction: tree::values(&moved).add_scaled(&values, -1.0),
            scale: 1.0,
        };
        match objective.value(Some(&offset)) {
            loss if loss < best.0 => best = (loss, candidate),
            _ => {}
        }
    }
    best.1
}
