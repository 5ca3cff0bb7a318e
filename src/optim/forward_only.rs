//! Training without a backward pass.

use std::sync::Arc;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};

use super::course::Course;
use super::descend::clipped;
use super::found::Found;
use super::stepped::stepped;
use super::{SharpOptimizer, StepReport, StepResult};
use crate::error::{Error, Failed, Result};
use crate::objective::{BatchLoss, Objective, Offset, sweep};
use crate::perturb::{Directions, Gradients, PlainReason, ZoSamConfig};
use crate::sparse::{GradientUse, Sparsity};
use crate::tree::{self, ParamVector};

/// What becomes of the estimated gradient `ĝ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardRule {
    /// The base optimizer gets `ĝ`: ZO-SGD (MeZO), with momentum ZO-SGD-MMT, with Adam ZO-Adam,
    /// with Adam and AMSGrad ZO-AdaMM.
    #[default]
    Estimate,
    /// The base optimizer gets the sign of each component of `ĝ`: ZO-signSGD (Liu et al., ICLR
    /// 2019).
    Sign,
    /// The base optimizer steps along `ĝ` and against it, and the better of the three points is
    /// kept, the old one included: two to three more forwards (ZO-SGD-Cons; Zhang et al., arXiv
    /// 2402.11592).
    Conservative,
}

/// A burn optimizer that is fed a gradient estimated by forward passes alone.
///
/// `ĝ = w Σᵢ Δᵢ uᵢ` with the difference quotients `Δᵢ` of the loss along random directions `uᵢ`, in
/// the live subspace. This is the estimator of [`ZoSamConfig`], whose `rho` only sets the distance
/// of probes where [`Delta`](crate::perturb::Delta) is relative to it.
///
/// The weight `w` makes the mean of `ĝ` the gradient, but for an error of second order in `δ`:
/// `1/m` for isotropic directions, 1 for blocks and coordinates, and `n/m` for orthogonal
/// directions, which are of length 1, with `n` the number of live weights in scope.
///
/// 2m forwards a step (one-sided m + 1), no backward, no graph: memory is that of inference.
/// Running statistics are those of the first pass. Methods that grow weights by a dense gradient
/// are refused: there is none.
///
/// Malladi et al., "Fine-Tuning Language Models with Just Forward Passes" (MeZO), NeurIPS 2023
/// (arXiv 2305.17333). Unlike in MeZO's code, weights are not moved and moved back, which would
/// round; weight decay is the base optimizer's.
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
pub struct ForwardOnly<O = ModuleOptimizer> {
    optim: SharpOptimizer<ZoSamConfig, O>,
    rule: ForwardRule,
}

impl<O> ForwardOnly<O> {
    /// Puts an estimator before a base optimizer.
    ///
    /// # Errors
    ///
    /// A field out of its range, or directions guided by gradients, kept for several steps or
    /// probed on a part of the batch.
    pub fn new(estimator: ZoSamConfig, rule: ForwardRule, base: O) -> Result<Self>
    where
        O: Clone + Into<ModuleOptimizer>,
    {
        let guided = matches!(estimator.family, Directions::Guided(_));
        if guided || estimator.reuse > 1 || estimator.fraction < 1.0 {
            return Err(Error::Unsupported {
                what: "an estimator with guided or kept directions, or with probes on a part of the batch",
                reason: "without backward passes directions are drawn anew at each step and probed on the whole batch",
                instead: "use `ZoSamConfig` with its default directions",
            });
        }
        let optim = SharpOptimizer::new(estimator, base)?;
        Ok(Self { optim, rule })
    }

    /// Changes what is kept around the base optimizer: seed, groups, clipping, or a state that was
    /// loaded.
    pub fn with(
        self,
        change: impl FnOnce(SharpOptimizer<ZoSamConfig, O>) -> SharpOptimizer<ZoSamConfig, O>,
    ) -> Self {
        Self {
            optim: change(self.optim),
            ..self
        }
    }

    /// What checkpoints save.
    pub fn optimizer(&self) -> &SharpOptimizer<ZoSamConfig, O> {
        &self.optim
    }

    /// One step: estimates the gradient at `θ` and updates `θ`.
    ///
    /// The report's loss and extra are of the pass at `θ` for one-sided differences, otherwise of
    /// the first probe. An estimate that is not finite is left out: weights stay as they are.
    ///
    /// # Errors
    ///
    /// If `sparsity` has no masks yet, belongs to another model or grows weights by their gradient,
    /// or if a score is NaN when masks change. The error hands the model back as it was.
    pub fn step_on<M: Module, F: BatchLoss<M>>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        model: M,
        sparsity: &mut Sparsity,
        loss: F,
    ) -> StepResult<M, F::Extra> {
        self.step_along(lr, model, sparsity, loss, None)
    }

    /// As [`step_on`](Self::step_on), along m directions of the caller's, whose components are in
    /// the order of the model's parameters.
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
    ) -> StepResult<M, F::Extra> {
        let (lr, course) = (lr.into(), &mut self.optim.course);
        let begun = check_growth(sparsity).and_then(|()| course.begin(&model, sparsity));
        let kept = sparsity.is_due(course.step).then(|| tree::twin(&model));
        if let Err(error) = begun {
            return Err(Failed::new(error, model));
        }
        let scope = Arc::new(sparsity.scope(course.step));
        let mut objective = Objective::new(&model, loss, course.draw_seed()).within(scope);
        let Estimated {
            estimate,
            buffers,
            mut report,
        } = course.estimate(&mut objective, sparsity, lr.base(), directions);
        let found = Found {
            gradients: Gradients::of(estimate.unwrap_or_default()),
            clean: None,
            model: model.clone(),
            passes: objective.passes(),
            weights: None,
        };
        let mut found = found.reduced(sparsity);
        let estimate = std::mem::take(&mut found.gradients.perturbed);
        found.clean = Some(estimate.clone());
        found.gradients.perturbed = match self.rule {
            ForwardRule::Estimate => estimate,
            ForwardRule::Sign => estimate.map_elements(|component| component.sign()),
            ForwardRule::Conservative => {
                let step = Trial {
                    base: &self.optim.base,
                    lr: &lr,
                    largest_norm: course.largest_norm,
                };
                step.best(&mut objective, sparsity, estimate)
            }
        };
        (found.passes, report.passes) = (objective.passes(), objective.passes());
        found.model = tree::adopt_buffers(model, &buffers);
        let finished = course.finish(&mut self.optim.base, lr, found, sparsity);
        let (model, update) = finished
            .map_err(|error| Failed::new(error, kept.expect("only a change of masks fails")))?;
        report.mask_update = update;
        // No backward pass does it, so memory would grow from step to step.
        if let Some(device) = tree::device(&model) {
            sweep(&device);
        }
        Ok((model, report))
    }
}

/// Refuses methods that grow weights by a gradient which is not measured.
fn check_growth(sparsity: &Sparsity) -> Result<()> {
    match sparsity.plan().gradients {
        GradientUse::None | GradientUse::Live => Ok(()),
        GradientUse::All => Err(Error::Unsupported {
            what: "a method that needs the gradient of dead weights",
            reason: "forward passes along live directions do not show it",
            instead: "use one that grows at random, as `Set` and `Mest` do, or fixed masks",
        }),
    }
}

/// What the probes of a step say.
struct Estimated<M, E> {
    /// `ĝ`, if it is finite.
    estimate: Option<ParamVector>,
    buffers: M,
    report: StepReport<E>,
}

impl Course<ZoSamConfig> {
    /// Estimates the gradient at `θ`.
    fn estimate<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        sparsity: &Sparsity,
        lr: f64,
        directions: Option<Vec<ParamVector>>,
    ) -> Estimated<M, F::Extra> {
        let model = objective.model();
        let weights = tree::values(model);
        let site = self.site(&weights, sparsity, self.seed, Some(lr));
        let estimator = &self.perturbation;
        let (directions, share): (Box<dyn Iterator<Item = ParamVector>>, f64) = match directions {
            Some(given) => {
                let share = 1.0 / given.len() as f64;
                let live = given.into_iter().map(|one| sparsity.masks().project(one));
                (Box::new(live), share)
            }
            None => {
                let directions = estimator.draws(site, &self.memory);
                (directions, estimator.share(site))
            }
        };
        let weight = |quotient: f64| share * quotient;
        let found = estimator.estimate(objective, site, directions, weight);
        let pass = found.base.or(found.first);
        let pass = pass.unwrap_or_else(|| objective.probe(None));
        let estimate = found.sum.filter(|sum| sum.is_finite());
        let plain = estimate.is_none().then_some(PlainReason::NoGradient);
        let (loss, extra, buffers) = pass.into_parts();
        let report = StepReport {
            loss,
            extra,
            passes: objective.passes(),
            offset: None,
            plain,
            mask_update: None,
        };
        Estimated {
            estimate,
            buffers,
            report,
        }
    }
}

/// The base optimizer's step, tried before it is taken.
struct Trial<'a> {
    base: &'a ModuleOptimizer,
    lr: &'a ModuleLearningRate,
    largest_norm: Option<f64>,
}

impl Trial<'_> {
    /// The gradient, its opposite or none: whichever step ends lowest, on all replicas together.
    fn best<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        sparsity: &Sparsity,
        gradient: ParamVector,
    ) -> ParamVector {
        let model = objective.model();
        let values = tree::values(model);
        let candidates = [gradient.clone(), gradient.scaled(-1.0)];
        let mut losses = vec![objective.value(None)];
        for candidate in &candidates {
            let used = clipped(candidate.clone(), self.largest_norm);
            let (mut base, lr) = (self.base.clone(), self.lr.clone());
            let moved = stepped(&mut base, lr, model.clone(), &used);
            let offset = Offset {
                direction: tree::values(&moved).add_scaled(&values, -1.0),
                scale: 1.0,
            };
            losses.push(objective.value(Some(&offset)));
        }
        let losses = sparsity.all_reduced_losses(model, losses);
        let [stay, ahead, back] = losses[..] else {
            unreachable!("there are three points")
        };
        let [ahead_gradient, back_gradient] = candidates;
        match (ahead < stay, back < stay.min(ahead)) {
            (_, true) => back_gradient,
            (true, false) => ahead_gradient,
            (false, false) => ParamVector::default(),
        }
    }
}
