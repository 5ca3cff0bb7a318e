//! A batch that can be taken apart.

use burn::tensor::{Int, Tensor, TensorData, kind::Basic};

use super::{BatchLoss, Loss};

/// Tensors whose first axis counts the samples of a batch.
pub trait Batched {
    /// Number of samples.
    fn samples(&self) -> usize;

    /// Some of the samples, in the order of `part`.
    fn part(&self, part: &[usize]) -> Self;
}

impl<const D: usize, K: Basic> Batched for Tensor<D, K> {
    fn samples(&self) -> usize {
        self.dims()[0]
    }

    fn part(&self, part: &[usize]) -> Self {
        let indices: Vec<i64> = part.iter().map(|sample| *sample as i64).collect();
        let indices = TensorData::new(indices, [part.len()]);
        let indices = Tensor::<1, Int>::from_data(indices, &self.device());
        self.clone().select(0, indices)
    }
}

impl<A: Batched, B: Batched> Batched for (A, B) {
    fn samples(&self) -> usize {
        self.0.samples()
    }

    fn part(&self, part: &[usize]) -> Self {
        (self.0.part(part), self.1.part(part))
    }
}

/// A batch, and the loss of each of its samples: for perturbations that look at samples, or at a
/// part of the batch.
///
/// The closure returns the losses as `[samples]`, alone or with something to keep; the step's loss
/// is their mean. It takes the place of a closure in `step_on`; `Esam` and probes on a fraction of
/// the batch need it.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::{Linear, LinearConfig}, optim::SgdConfig, tensor::{Device, Tensor}};
/// use zosam::{ZoSamConfig, objective::Samples, sparse::Sparsity};
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(3, 1).init(&device);
/// let batch = (Tensor::<2>::ones([8, 3], &device), Tensor::<2>::zeros([8, 1], &device));
/// let loss = Samples::new(batch, |model: &Linear, (inputs, targets)| {
///     let errors = model.forward(inputs.clone()) - targets.clone();
///     errors.powi_scalar(2).flatten::<1>(0, 1)
/// });
/// let mut optim = ZoSamConfig::new().with_fraction(0.25).init(SgdConfig::new().build())?;
/// let (model, report) = optim.step_on(0.1, model, &mut Sparsity::dense(), loss)?;
/// assert_eq!((report.passes.forwards, report.passes.backwards), (3, 1));
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Samples<X, F> {
    batch: X,
    losses: F,
}

impl<X, F> Samples<X, F> {
    /// The losses of a batch's samples: `losses(model, batch)` is of shape `[samples]`, for parts
    /// of the batch, too.
    pub fn new<M, L>(batch: X, losses: F) -> Self
    where
        L: Loss,
        F: Fn(&M, &X) -> L,
    {
        Self { batch, losses }
    }
}

impl<M, X, F> BatchLoss<M> for &Samples<X, F>
where
    Samples<X, F>: BatchLoss<M>,
{
    type Extra = <Samples<X, F> as BatchLoss<M>>::Extra;

    fn whole(&self, model: &M) -> (Tensor<1>, Self::Extra) {
        (**self).whole(model)
    }

    fn samples(&self) -> Option<usize> {
        BatchLoss::<M>::samples(*self)
    }

    fn size(&self) -> Option<usize> {
        BatchLoss::<M>::size(*self)
    }

    fn each(&self, model: &M, part: Option<&[usize]>) -> Option<(Tensor<1>, Self::Extra)> {
        (**self).each(model, part)
    }
}

impl<M, L: Loss, X: Batched, F: Fn(&M, &X) -> L> BatchLoss<M> for Samples<X, F> {
    type Extra = L::Extra;

    fn whole(&self, model: &M) -> (Tensor<1>, L::Extra) {
        let (losses, extra) = (self.losses)(model, &self.batch).split();
        (losses.mean(), extra)
    }

    fn samples(&self) -> Option<usize> {
        Some(self.batch.samples())
    }

    fn each(&self, model: &M, part: Option<&[usize]>) -> Option<(Tensor<1>, L::Extra)> {
        Some(match part {
            None => (self.losses)(model, &self.batch).split(),
            Some(part) => (self.losses)(model, &self.batch.part(part)).split(),
        })
    }
}
