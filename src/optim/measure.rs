//! The gradient of a step: lines 1 to 3 of the algorithm.

use burn::module::Module;
use burn::optim::Optimizer;
use burn::tensor::Tensor;

use super::{SharpOptimizer, StepReport};
use crate::error::{Error, Result};
use crate::objective::{Gradient, Loss, Objective, Offset, Passes};
use crate::perturb::{Ascent, Perturbation, PlainReason, Site};
use crate::sparse::Sparsity;
use crate::tree::{self, ParamVector};

/// What is measured beside the gradient at `θ + ε`.
pub(crate) struct Wanted {
    /// The gradient at `θ`.
    pub clean: bool,
    /// The number of the first batch among those of its step.
    pub first: u64,
}

/// The mean over the batches of a step.
pub(crate) struct Measured<M, E> {
    /// The model with its running statistics advanced.
    pub model: M,
    /// The gradient at `θ + ε`.
    pub gradient: ParamVector,
    /// The gradient at `θ`.
    pub clean: Option<ParamVector>,
    pub report: StepReport<Vec<E>>,
}

/// What one batch says.
struct OfBatch<M, E> {
    gradient: ParamVector,
    buffers: M,
    loss: Tensor<1>,
    extra: E,
    offset: Option<Offset>,
    plain: Option<PlainReason>,
}

impl<P: Perturbation, O: Optimizer> SharpOptimizer<P, O> {
    /// Measures batch after batch, the graph of one at a time.
    pub(crate) fn measure_all<M, L, F>(
        &mut self,
        mut model: M,
        sparsity: &Sparsity,
        losses: impl IntoIterator<Item = F>,
        wanted: Wanted,
    ) -> Result<Measured<M, L::Extra>>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        let (mut gradients, mut cleans, mut loss) = (Mean::default(), Mean::default(), None);
        let (mut extras, mut passes) = (Vec::new(), Passes::default());
        let (mut offset, mut plain) = (None, None);
        for (batch, closure) in losses.into_iter().enumerate() {
            let seed = self.seed_of(wanted.first + batch as u64);
            let mut objective = Objective::new(&model, &closure, draw_seed(seed, self.step));
            let part = self.measure(&mut objective, sparsity, seed);
            gradients.add(part.gradient);
            if wanted.clean {
                cleans.add(objective.gradient(None).vector);
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
        Ok(Measured {
            model,
            gradient: gradients.value(),
            clean: wanted.clean.then(|| cleans.value()),
            report,
        })
    }

    /// Ascent and descent gradient on one batch.
    fn measure<M, L, F>(
        &mut self,
        objective: &mut Objective<'_, M, F>,
        sparsity: &Sparsity,
        seed: u64,
    ) -> OfBatch<M, L::Extra>
    where
        M: Module,
        L: Loss,
        F: Fn(&M) -> L,
    {
        let leaves = tree::leaves(objective.model());
        let site = Site {
            leaves: &leaves,
            masks: sparsity.masks(),
            seed,
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
        OfBatch {
            gradient: vector,
            buffers: buffers.unwrap_or(twin),
            loss,
            extra,
            offset: offset.filter(|_| plain.is_none()),
            plain,
        }
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
