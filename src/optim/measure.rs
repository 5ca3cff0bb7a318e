//! The gradient of a step, batch by batch.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;

use super::StepReport;
use super::course::Course;
use super::found::Found;
use super::mean::Mean;
use crate::error::{Error, Result};
use crate::objective::{BatchLoss, Forward, Gradient, Objective, Offset, Passes, read};
use crate::perturb::{Ascent, Gradients, Perturbation, PlainReason, Site, unusable};
use crate::sparse::{Growth, Sparsity};
use crate::tree::{self, ParamVector};

/// What the batches of a step say.
pub(crate) struct Measured<M, E> {
    pub found: Found<M>,
    pub report: StepReport<Vec<E>>,
}

/// What one batch says.
struct OfBatch<M, E> {
    /// `None` if there is none that is finite, not even at `θ`.
    gradient: Option<ParamVector>,
    here: Option<ParamVector>,
    clean: Option<ParamVector>,
    buffers: M,
    loss: Tensor<1>,
    extra: E,
    offset: Option<Offset>,
    plain: Option<PlainReason>,
}

impl<P: Perturbation> Course<P> {
    /// Measures batch after batch, the graph of one at a time. `first` is the number of the first
    /// one among all batches of the step.
    pub fn measure<M: Module, F: BatchLoss<M>>(
        &self,
        model: &M,
        sparsity: &Sparsity,
        losses: impl IntoIterator<Item = F>,
        first: u64,
        lr: Option<f64>,
    ) -> Result<Measured<M, F::Extra>> {
        let weights = tree::values(model);
        let scope = Arc::new(sparsity.scope(self.step));
        let (mut perturbed, mut here) = (Mean::default(), Mean::default());
        let (mut clean, mut loss) = (Mean::default(), Mean::default());
        let (mut extra, mut passes) = (Vec::new(), Passes::default());
        let (mut offset, mut plain) = (None, None);
        let mut model = model.clone();
        for (batch, closure) in losses.into_iter().enumerate() {
            let seed = self.seed_of(first + batch as u64);
            let objective = Objective::new(&model, closure, draw_seed(seed, self.step));
            let mut objective = objective.within(scope.clone());
            self.check_samples(&objective)?;
            let site = self.site(&weights, sparsity, seed, lr);
            let samples = objective.size();
            if samples == Some(0) {
                continue;
            }
            let part = self.measure_batch(&mut objective, sparsity, site);
            perturbed.add(part.gradient, samples);
            here.add(part.here, samples);
            clean.add(part.clean, samples);
            loss.add(Some(part.loss), samples);
            passes += objective.passes();
            extra.push(part.extra);
            offset = part.offset;
            plain = plain.or(part.plain);
            model = tree::adopt_buffers(model.clone(), &part.buffers);
        }
        let loss = loss.value().ok_or(Error::NoLoss)?;
        let perturbed = perturbed.value().unwrap_or_default();
        let found = Found {
            model,
            clean: clean.value(),
            gradients: Gradients {
                perturbed,
                // A mean over some of the batches would be no gradient of the step.
                here: here.of_all(),
                offset: offset.clone(),
                ascended: self.ascends(sparsity),
            },
            passes,
            weights: Some(weights),
        };
        let report = StepReport {
            loss,
            extra,
            passes,
            offset,
            plain,
            mask_update: None,
        };
        Ok(Measured { found, report })
    }

    fn check_samples<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &Objective<'_, M, F>,
    ) -> Result<()> {
        match self.perturbation.needs_samples() && objective.samples().is_none() {
            false => Ok(()),
            true => Err(Error::Unsupported {
                what: "a closure as the step's loss",
                reason: "the perturbation looks at samples of the batch",
                instead: "give it `objective::Samples`",
            }),
        }
    }

    /// Ascent and gradient on one batch.
    fn measure_batch<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        sparsity: &Sparsity,
        site: Site<'_>,
    ) -> OfBatch<M, F::Extra> {
        let Ascent {
            offset,
            forward,
            buffers,
            here,
            mut plain,
            norm,
        } = match sparsity.perturbs(self.step) {
            true if site.strength > 0.0 => self.perturbation.ascend(objective, site, &self.memory),
            true => Ascent::none(),
            false => Ascent::given_up(PlainReason::Method),
        };
        let forward = forward.unwrap_or_else(|| objective.forward(offset.as_ref()));
        // What is not finite at θ + ε would put NaN into the weights. At θ it is the user's to
        // judge, as with the base optimizer alone, but where a perturbation has just met it.
        let perturbed = match offset {
            Some(_) => checked(objective, forward, norm, &mut plain),
            None => Some(objective.backward(forward)),
        };
        let found = perturbed.unwrap_or_else(|| objective.gradient(None));
        let Gradient {
            loss,
            vector,
            extra,
            twin,
        } = found;
        let offset = offset.filter(|_| plain.is_none());
        let hopeless = plain == Some(PlainReason::NonFinite) && !vector.is_finite();
        if hopeless {
            plain = Some(PlainReason::NoGradient);
        }
        let wants_clean = sparsity.observes(self.step) && sparsity.growth() == Growth::Clean;
        let clean = wants_clean.then(|| match (&offset, &here) {
            (None, _) => vector.clone(),
            (Some(_), Some(here)) => here.clone(),
            (Some(_), None) => objective.gradient(None).vector,
        });
        OfBatch {
            gradient: (!hopeless).then_some(vector),
            here: here.filter(|_| !hopeless),
            clean: clean.filter(|_| !hopeless),
            buffers: buffers.unwrap_or(twin),
            loss,
            extra,
            offset,
            plain,
        }
    }

    /// The seed of stochastic layers in this step's first batch.
    pub fn draw_seed(&self) -> u64 {
        draw_seed(self.seed, self.step)
    }

    /// The seed of a batch of a step; that of the first one is the optimizer's.
    fn seed_of(&self, batch: u64) -> u64 {
        self.seed ^ batch.wrapping_mul(0xa076_1d64_78bd_642f)
    }
}

/// The gradient at `θ + ε`, if it and the loss are finite. `plain` is the reason if they are not,
/// or if `ε` was zero.
///
/// On the host a loss that is not finite costs no backward pass. A device is waited for once, after
/// it.
fn checked<M: Module, F: BatchLoss<M>>(
    objective: &mut Objective<'_, M, F>,
    forward: Forward<M, F::Extra>,
    norm: Option<Tensor<1>>,
    plain: &mut Option<PlainReason>,
) -> Option<Gradient<M, F::Extra>> {
    let loss = forward.loss_tensor();
    let on_host = tree::on_host(&loss.device());
    if on_host && !read(&loss).is_finite() {
        objective.discard(forward);
        *plain = Some(PlainReason::NonFinite);
        return None;
    }
    let found = objective.backward(forward);
    let square = found.vector.product(&found.vector);
    let (finite, norm) = match square {
        Some(square) => {
            let numbers = tree::read([loss, square].into_iter().chain(norm).collect());
            let finite = numbers[..2].iter().all(|number| number.is_finite());
            (finite, numbers.get(2).copied())
        }
        // On the host the loss is known to be finite.
        None => {
            let finite = (on_host || read(&loss).is_finite()) && found.vector.is_finite();
            (finite, norm.as_ref().map(read))
        }
    };
    *plain = match finite {
        true => plain.or(norm.and_then(unusable)),
        false => Some(PlainReason::NonFinite),
    };
    finite.then_some(found)
}

/// The seed for stochastic layers in a step, different from that of any other step.
fn draw_seed(seed: u64, step: u64) -> u64 {
    // Two odd multipliers keep (seed, step) pairs apart; the backend's generator does the mixing.
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step.wrapping_mul(0xd1b5_4a32_d192_ed03)
}
