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

/// The loss of a model on one batch: a closure, or [`Samples`](super::Samples), which can be taken apart.
pub trait BatchLoss<M> {
    /// What is kept beside the loss.
    type Extra;

    /// The loss on the whole batch.
    fn whole(&self, model: &M) -> (Tensor<1>, Self::Extra);

    /// Number of samples, if the loss of each is known.
    fn samples(&self) -> Option<usize> {
        None
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
