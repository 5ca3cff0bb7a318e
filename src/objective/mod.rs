//! The loss of a model on the current batch, with every evaluation counted.

mod loss;
mod samples;

pub use crate::tree::turn::seeded;
pub use loss::{BatchLoss, Counted, Loss};
pub use samples::{Batched, Samples};

use std::sync::{Arc, OnceLock};

use burn::module::{Module, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use crate::masks::Scope;
use crate::tree::{self, ParamVector};

/// A vector `scale · direction` to add to the weights; `None` stands for the weights themselves.
#[derive(Debug, Clone)]
pub struct Offset {
    /// The direction, zero on dead weights.
    pub direction: ParamVector,
    /// Its factor.
    pub scale: f64,
}

impl Offset {
    /// The vector itself.
    pub fn vector(&self) -> ParamVector {
        self.direction.clone().scaled(self.scale)
    }

    /// The opposite vector.
    pub fn negated(&self) -> Self {
        Self {
            direction: self.direction.clone(),
            scale: -self.scale,
        }
    }
}

/// A forward pass, made with or without a graph.
pub struct Forward<M, E> {
    twin: M,
    loss: Tensor<1>,
    extra: E,
}

impl<M, E> Forward<M, E> {
    /// The loss, read from the device.
    pub fn loss(&self) -> f64 {
        read(&self.loss)
    }

    /// The loss, on its device and without a graph.
    pub(crate) fn loss_tensor(&self) -> Tensor<1> {
        match self.loss.is_autodiff() {
            true => self.loss.clone().inner(),
            false => self.loss.clone(),
        }
    }

    /// The model that was evaluated; holds the running statistics that this pass produced.
    pub fn into_twin(self) -> M {
        self.twin
    }

    /// The loss on its device, without a graph, what was kept beside it, and the model that was
    /// evaluated.
    pub(crate) fn into_parts(self) -> (Tensor<1>, E, M) {
        (self.loss_tensor(), self.extra, self.twin)
    }

    /// The same pass, with what another one kept beside its loss.
    pub fn with_extra(self, extra: E) -> Self {
        Self { extra, ..self }
    }
}

/// A differentiated forward pass.
pub struct Gradient<M, E> {
    /// The loss at the point of evaluation, without its graph.
    pub loss: Tensor<1>,
    /// The gradient there. Dead weights have one too where arithmetic is dense; layers of
    /// [`nn`](crate::nn) that compute sparsely leave it zero, unless the step's method asks for it.
    pub vector: ParamVector,
    /// What the loss closure returned beside the loss.
    pub extra: E,
    /// The model that was evaluated; holds the running statistics that this pass produced.
    pub twin: M,
}

/// Number of passes through the model, those of a part of the batch included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Passes {
    /// Forward passes, with or without a graph.
    pub forwards: u64,
    /// Backward passes.
    pub backwards: u64,
}

impl std::ops::AddAssign for Passes {
    fn add_assign(&mut self, other: Self) {
        self.forwards += other.forwards;
        self.backwards += other.backwards;
    }
}

/// The loss of one model on one batch, as a function of an offset of its weights.
///
/// Every evaluation runs on a [twin](tree::twin) of the model: weights, ids and running statistics
/// of the original stay untouched. Before each one the backend's random stream is set to the same
/// seed, so that dropout and stochastic depth draw alike in all evaluations of a step; evaluations
/// of several threads [take turns](seeded) for that.
pub struct Objective<'a, M, F> {
    model: &'a M,
    loss: F,
    device: Option<Device>,
    seed: u64,
    /// Masks for every evaluation; without them it takes those of the caller's scope.
    scope: Option<Arc<Scope>>,
    passes: Passes,
    /// The weights that move, where a device wants them in one piece; made by the first evaluation
    /// away from `θ`.
    weights: OnceLock<ParamVector>,
}

impl<'a, M: Module, F: BatchLoss<M>> Objective<'a, M, F> {
    /// The objective of a step: `seed` fixes the stochastic layers' draws.
    pub fn new(model: &'a M, loss: F, seed: u64) -> Self {
        // burn initialises parameters when they are first read; that must not happen under a step's
        // seed.
        tree::initialise(model);
        Self {
            device: tree::device(model),
            model,
            loss,
            seed,
            scope: None,
            passes: Passes::default(),
            weights: OnceLock::new(),
        }
    }

    /// With masks in scope of every evaluation.
    pub(crate) fn within(self, scope: Arc<Scope>) -> Self {
        let scope = Some(scope);
        Self { scope, ..self }
    }

    /// Evaluates the loss, with the step's draws and masks.
    fn run<R>(&self, evaluate: impl FnOnce() -> R) -> R {
        let evaluate = || match &self.scope {
            Some(scope) => scope.run(evaluate),
            None => evaluate(),
        };
        match &self.device {
            Some(device) => seeded(device, self.seed, evaluate),
            None => evaluate(),
        }
    }

    /// The model at the unperturbed weights.
    pub fn model(&self) -> &'a M {
        self.model
    }

    /// The passes made so far.
    pub fn passes(&self) -> Passes {
        self.passes
    }

    /// The loss at an offset: one forward pass that records no graph. Waits for the device.
    pub fn value(&mut self, offset: Option<&Offset>) -> f64 {
        self.probe(offset).loss()
    }

    /// One forward pass that records no graph.
    pub fn probe(&mut self, offset: Option<&Offset>) -> Forward<M, F::Extra> {
        self.evaluate(offset, false)
    }

    /// One forward pass whose graph is kept.
    pub fn forward(&mut self, offset: Option<&Offset>) -> Forward<M, F::Extra> {
        self.evaluate(offset, true)
    }

    /// One backward pass through a recorded forward pass. Parameters that the loss does not depend
    /// on are absent from the gradient.
    pub fn backward(&mut self, forward: Forward<M, F::Extra>) -> Gradient<M, F::Extra> {
        self.passes.backwards += 1;
        let Forward { twin, loss, extra } = forward;
        // A loss that depends on none of the parameters that are asked for has no gradient.
        let vector = match loss.is_tracked() {
            true => {
                let gradients = GradientsParams::from_grads(loss.backward(), &twin);
                tree::gradients(&twin, &gradients)
            }
            false => ParamVector::default(),
        };
        Gradient {
            loss: loss.inner(),
            vector,
            extra,
            twin,
        }
    }

    /// Drops a recorded forward pass and its activations.
    ///
    /// burn frees a dropped graph when it next runs a backward pass, so a trivial one is run at
    /// once; it is not counted.
    pub fn discard(&self, forward: Forward<M, F::Extra>) {
        drop(forward);
        if let Some(device) = &self.device {
            sweep(device);
        }
    }

    /// Loss and gradient at an offset: one forward and one backward pass.
    pub fn gradient(&mut self, offset: Option<&Offset>) -> Gradient<M, F::Extra> {
        let forward = self.forward(offset);
        self.backward(forward)
    }

    /// Number of samples in the batch, if it is known.
    pub fn size(&self) -> Option<usize> {
        self.loss.size()
    }

    /// Number of samples in the batch, if the loss can be had for parts of it.
    pub fn samples(&self) -> Option<usize> {
        self.loss.samples()
    }

    /// The mean loss of some samples at an offset: one forward pass that records no graph. Waits
    /// for the device.
    ///
    /// # Panics
    ///
    /// Panics if the loss is a closure: a perturbation that asks for samples says so in
    /// [`needs_samples`](crate::perturb::Perturbation::needs_samples), and the step refuses the
    /// closure.
    pub fn value_on(&mut self, part: &[usize], offset: Option<&Offset>) -> f64 {
        let twin = self.twin(offset, |_| false);
        read(&self.losses(&twin, Some(part)).0.mean())
    }

    /// The loss of each sample at an offset: one forward pass that records no graph. Waits for the
    /// device.
    ///
    /// # Panics
    ///
    /// As [`value_on`](Self::value_on).
    pub fn losses_at(&mut self, offset: Option<&Offset>) -> Vec<f64> {
        let twin = self.twin(offset, |_| false);
        host(self.losses(&twin, None).0)
    }

    /// The gradient at the weights themselves of the parameters that are selected, and the loss of
    /// each sample: one forward and one backward pass, the latter cheaper for each parameter that
    /// is left out.
    ///
    /// # Panics
    ///
    /// As [`value_on`](Self::value_on).
    pub fn gradient_of(
        &mut self,
        selected: impl Fn(ParamId) -> bool,
    ) -> (Gradient<M, F::Extra>, Vec<f64>) {
        let twin = self.twin(None, selected);
        let (losses, extra) = self.losses(&twin, None);
        let each = host(losses.clone().inner());
        let loss = losses.mean();
        (self.backward(Forward { twin, loss, extra }), each)
    }

    /// One forward pass over some samples whose graph is kept.
    ///
    /// # Panics
    ///
    /// As [`value_on`](Self::value_on).
    pub fn forward_on(&mut self, part: &[usize], offset: Option<&Offset>) -> Forward<M, F::Extra> {
        let twin = self.twin(offset, |_| true);
        let (losses, extra) = self.losses(&twin, Some(part));
        let loss = losses.mean();
        Forward { twin, loss, extra }
    }

    fn losses(&self, twin: &M, part: Option<&[usize]>) -> (Tensor<1>, F::Extra) {
        let losses = self.run(|| self.loss.each(twin, part));
        losses.expect("a perturbation that looks at samples is refused for a closure")
    }

    fn evaluate(&mut self, offset: Option<&Offset>, record: bool) -> Forward<M, F::Extra> {
        self.passes.forwards += 1;
        // Seeding a device has it finish what it was given: the twin comes after that, with the
        // pass that it is for.
        let (twin, (loss, extra)) = self.run(|| {
            let twin = self.at(offset, |_| record);
            let loss = self.loss.whole(&twin);
            (twin, loss)
        });
        Forward { twin, loss, extra }
    }

    /// The model of one more forward pass.
    fn twin(&mut self, offset: Option<&Offset>, record: impl Fn(ParamId) -> bool) -> M {
        self.passes.forwards += 1;
        self.at(offset, record)
    }

    /// The model to evaluate, at an offset, with gradients for the parameters that are selected.
    fn at(&self, offset: Option<&Offset>, record: impl Fn(ParamId) -> bool) -> M {
        let nowhere = ParamVector::default();
        let (direction, scale) = match offset {
            Some(offset) => (&offset.direction, offset.scale),
            None => (&nowhere, 0.0),
        };
        tree::perturbed_from(self.model, &self.weights, direction, scale, record)
    }
}

/// Frees what dropped graphs hold, and what forward passes that record none leave behind on a device with autodiff.
///
/// burn does so when it next runs a backward pass: this is a trivial one.
pub(crate) fn sweep(device: &Device) {
    Tensor::<1>::zeros([1], device).require_grad().backward();
}

fn host(losses: Tensor<1>) -> Vec<f64> {
    losses.to_data().iter::<f64>().collect()
}

/// Reads a scalar from its device.
pub(crate) fn read(scalar: &Tensor<1>) -> f64 {
    scalar.clone().into_scalar::<f64>()
}
