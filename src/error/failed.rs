//! Errors that keep the model.

use std::sync::{Mutex, PoisonError};

use super::Error;

/// An error, and the model that was handed in, as it was.
///
/// What takes a model and returns it, as burn's optimizers do, would lose it where it fails. `?`
/// makes a plain [`Error`] of this where that is what a function returns.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::{Linear, LinearConfig}, optim::SgdConfig, tensor::{Device, Tensor}};
/// use zosam::{RigL, Sparsity, ZoSamConfig};
/// let model = LinearConfig::new(3, 1).init(&Device::flex().autodiff());
/// let mut optim = ZoSamConfig::new().init(SgdConfig::new().init())?;
/// let mut sparsity = Sparsity::new(RigL::new(0.9).until(100)); // not attached to the model
/// let loss = |model: &Linear| model.weight.val().mean();
/// let failed = optim.step_with(0.1, model, &mut sparsity, loss).unwrap_err();
/// println!("{failed}");
/// let model = failed.into_model(); // still there
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
pub struct Failed<M> {
    /// What went wrong.
    pub error: Error,
    /// Behind a lock, so that errors of models that threads may not share can be passed on like any
    /// other, into an `anyhow::Error` say.
    model: Box<Mutex<M>>,
}

impl<M> Failed<M> {
    pub(crate) fn new(error: Error, model: M) -> Self {
        let model = Box::new(Mutex::new(model));
        Self { error, model }
    }

    /// The model that was handed in.
    pub fn into_model(self) -> M {
        let model = self.model.into_inner();
        model.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> From<Failed<M>> for Error {
    fn from(failed: Failed<M>) -> Self {
        failed.error
    }
}

impl<M> std::fmt::Debug for Failed<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Failed").field(&self.error).finish()
    }
}

impl<M> std::fmt::Display for Failed<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl<M> std::error::Error for Failed<M> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}
