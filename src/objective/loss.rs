//! What a user hands over: the loss of a model on one batch.

use burn::tensor::Tensor;

/// What a loss closure may return: the loss, or the loss and something to keep, such as the logits.
pub trait Loss {
    /// What is kept beside the loss.
    type Extra;

    /// Separates the two.
    fn split(self) -> (Tensor<1>, Self::Extra);
}

impl Loss for Tensor<1> {
    type Extra = ();

    fn split(self) -> (Tensor<1>, ()) {
        (self, ())
    }
}

impl<E> Loss for (Tensor<1>, E) {
    type Extra = E;

    fn split(self) -> (Tensor<1>, E) {
        self
    }
}

/// The loss of a model on one batch: a closure, or [`Samples`](super::Samples), which can be taken
/// apart.
pub trait BatchLoss<M> {
    /// What is kept beside the loss.
    type Extra;

    /// The loss on the whole batch.
    fn whole(&self, model: &M) -> (Tensor<1>, Self::Extra);

    /// Number of samples, if the loss of each is known.
    fn samples(&self) -> Option<usize> {
        None
    }

    /// Number of samples, if it is known: the weight of this batch among the batches of a step.
    fn size(&self) -> Option<usize> {
        self.samples()
    }

    /// The losses of some samples, `[part]`, or of all; `None` where they cannot be had.
    fn each(&self, _model: &M, _part: Option<&[usize]>) -> Option<(Tensor<1>, Self::Extra)> {
        None
    }
}

impl<M, L: Loss, F: Fn(&M) -> L> BatchLoss<M> for F {
    type Extra = L::Extra;

    fn whole(&self, model: &M) -> (Tensor<1>, L::Extra) {
        self(model).split()
    }
}

/// The loss closure of a batch with its number of samples, which is its weight in
/// [`step_accumulated`](crate::SharpOptimizer::step_accumulated).
///
/// A closure alone does not tell how many samples its batch has, so that all closures of a step
/// weigh the same. That is wrong where the last batch is smaller than the others.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::{Linear, LinearConfig}, optim::SgdConfig, tensor::{Device, Tensor}};
/// use zosam::{SamConfig, objective::Counted, sparse::Sparsity};
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(3, 1).init(&device);
/// let batches = [32, 32, 1].map(|size| Tensor::<2>::ones([size, 3], &device));
/// let losses = batches.map(|batch| {
///     let loss = |model: &Linear, batch: &Tensor<2>| model.forward(batch.clone()).mean();
///     Counted::new(batch.dims()[0], move |model: &Linear| loss(model, &batch))
/// });
/// let mut optim = SamConfig::new().init(SgdConfig::new().build())?;
/// let (model, report) = optim.step_accumulated(0.1, model, &mut Sparsity::dense(), losses)?;
/// assert_eq!(report.passes.backwards, 6);
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Counted<F> {
    samples: usize,
    loss: F,
}

impl<F> Counted<F> {
    /// The loss of a batch of so many samples, a mean over them.
    pub fn new<M, L>(samples: usize, loss: F) -> Self
    where
        L: Loss,
        F: Fn(&M) -> L,
    {
        Self { samples, loss }
    }
}

impl<M, L: Loss, F: Fn(&M) -> L> BatchLoss<M> for Counted<F> {
    type Extra = L::Extra;

    fn whole(&self, model: &M) -> (Tensor<1>, L::Extra) {
        (self.loss)(model).split()
    }

    fn size(&self) -> Option<usize> {
        Some(self.samples)
    }
}
