//! The gradient of a step: lines 1 to 3 of the algorithm.

use std::sync::Arc;

use burn::module::Module;
use burn::optim::Optimizer;
use burn::tensor::Tensor;

use super::{SharpOptimizer, StepReport};
use crate::error::{Error, Result};
use crate::objective::{BatchLoss, Gradient, Objective, Offset, Passes};
use crate::perturb::{Ascent, Gradients, Perturbation, PlainReason, Site};
use crate::sparse::Sparsity;
use crate::tree::{self, Leaf, ParamVector};

/// What is measured beside the gradient at `θ + ε`.
pub(crate) struct Wanted {
    /// The gradient at `θ`.
    pub clean: bool,
    /// The number of the first batch among those of its step.
    pub first: u64,
    /// The base learning rate, if it is known.
    pub lr: Option<f64>,
}

/// The mean over the batches of a step.
pub(crate) struct Measured<M, E> {
    /// The model with its running statistics advanced.
    pub model: M,
    pub gradients: Gradients,
    pub report: StepReport<Vec<E>>,
}

/// What one batch says.
struct OfBatch<M, E> {
    gradient: ParamVector,
    here: Option<ParamVector>,
    buffers: M,
    loss: Tensor<1>,
    extra: E,
    offset: Option<Offset>,
    plain: Option<PlainReason>,
}

impl<P: Perturbation, O: Optimizer> SharpOptimizer<P, O> {
    /// Measures batch after batch, the graph of one at a time.
    pub(crate) fn measure_all<M: Module, F: BatchLoss<M>>(
        &self,
        mut model: M,
        sparsity: &Sparsity,
        losses: impl IntoIterator<Item = F>,
        wanted: Wanted,
    ) -> Result<Measured<M, F::Extra>> {
        let leaves = tree::leaves(&model);
        let scope = Arc::new(sparsity.scope(self.step));
        let (mut perturbed, mut here, mut loss) = (Mean::default(), Mean::default(), None);
        let (mut extras, mut passes) = (Vec::new(), Passes::default());
        let (mut offset, mut plain) = (None, None);
        for (batch, closure) in losses.into_iter().enumerate() {
            let seed = self.seed_of(wanted.first + batch as u64);
            let objective = Objective::new(&model, closure, draw_seed(seed, self.step));
            let mut objective = objective.within(scope.clone());
            if self.perturbation.needs_samples() && objective.samples().is_none() {
                return Err(Error::Mismatch {
                    what: "the training step's loss",
                    reason: "the perturbation looks at samples of the batch: give it \
                             `objective::Samples` in place of a closure"
                        .to_string(),
                });
            }
            let site = self.site(&leaves, sparsity, seed, wanted.lr);
            let part = self.measure(&mut objective, sparsity, site);
            perturbed.add(part.gradient);
            match part.here {
                Some(gradient) => here.add(gradient),
                None if wanted.clean => here.add(objective.gradient(None).vector),
                None => {}
            }
            passes += objective.passes();
            model = tree::adopt_buffers(model.clone(), &part.buffers);
            loss = Some(match loss {
                None => part.loss,
                Some(sum) => sum + part.loss,
            });
            extras.push(part.extra);
            offset = part.offset;
            plain = plain.or(part.plain);
        }
        let loss = loss.ok_or(Error::Mismatch {
            what: "the training step",
            reason: "it was given no loss".to_string(),
        })?;
        let report = StepReport {
            loss: match extras.len() {
                1 => loss,
                count => loss.div_scalar(count as f64),
            },
            extra: extras,
            passes,
            offset,
            plain,
            mask_update: None,
        };
        let batches = report.extra.len();
        let gradients = Gradients {
            perturbed: perturbed.value(),
            // A mean over some of the batches would be no gradient of the step.
            here: (here.count == batches).then(|| here.value()),
            offset: report.offset.clone(),
            ascended: self.ascends(sparsity),
        };
        Ok(Measured {
            model,
            gradients,
            report,
        })
    }

    /// Whether this step is perturbed at all.
    fn ascends(&self, sparsity: &Sparsity) -> bool {
        sparsity.method().perturbs(self.step) && self.schedule.strength(self.step) > 0.0
    }

    /// What the perturbation knows about the step.
    pub(crate) fn site<'a>(
        &self,
        leaves: &'a [Leaf],
        sparsity: &'a Sparsity,
        seed: u64,
        lr: Option<f64>,
    ) -> Site<'a> {
        Site {
            leaves,
            masks: sparsity.masks(),
            seed,
            step: self.step,
            lr,
            strength: self.schedule.strength(self.step),
        }
    }

    /// Ascent and descent gradient on one batch.
    fn measure<M: Module, F: BatchLoss<M>>(
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
        } = match sparsity.method().perturbs(self.step) {
            true if site.strength > 0.0 => self.perturbation.ascend(objective, site, &self.memory),
            true => Ascent::none(),
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
        OfBatch {
            gradient: vector,
            here,
            buffers: buffers.unwrap_or(twin),
            loss,
            extra,
            offset: offset.filter(|_| plain.is_none()),
            plain,
        }
    }

    /// The seed of stochastic layers in this step's first batch.
    pub(super) fn draw_seed(&self) -> u64 {
        draw_seed(self.seed, self.step)
    }

    /// The seed of a batch of a step; that of the first one is the optimizer's.
    fn seed_of(&self, batch: u64) -> u64 {
        self.seed ^ batch.wrapping_mul(0xa076_1d64_78bd_642f)
    }
}

/// The seed for stochastic layers in a step, different from that of any other step.
fn draw_seed(seed: u64, step: u64) -> u64 {
    // Two odd multipliers keep (seed, step) pairs apart; the backend's generator does the mixing.
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step.wrapping_mul(0xd1b5_4a32_d192_ed03)
}

/// A running mean; a single vector stays as it is, to the bit.
#[derive(Default)]
struct Mean {
    sum: Option<ParamVector>,
    count: usize,
}

impl Mean {
    fn add(&mut self, vector: ParamVector) {
        self.count += 1;
        self.sum = Some(match self.sum.take() {
            None => vector,
            Some(sum) => sum.plus_scaled(&vector, 1.0),
        });
    }

    fn value(self) -> ParamVector {
        match (self.sum, self.count) {
            (None, _) => ParamVector::default(),
            (Some(sum), 1) => sum,
            (Some(sum), count) => sum.scaled(1.0 / count as f64),
        }
    }
}
