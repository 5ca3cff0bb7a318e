//! No evidence, for methods that need none.

use burn::module::Module;

use super::Evidence;
use crate::error::{Error, Result};
use crate::tree::ParamVector;

/// Nothing can be measured: random masks, those of a file, or the largest weights need no more.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// use zosam::{RigL, Snip, Sparsity};
/// let layer = LinearConfig::new(20, 10).init(&Device::flex().autodiff());
/// let layer = Sparsity::new(RigL::new(0.9).until(100)).attach_on(layer, &())?;
/// assert!(Sparsity::new(Snip::new(0.9)).attach_on(layer, &()).is_err()); // ranks by a gradient
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
impl<M: Module> Evidence<M> for () {
    fn gradient(&self, _: &M, _: f64, _: u64) -> Result<ParamVector> {
        Err(nothing("the gradient"))
    }

    fn hessian_product(&self, _: &M, _: &ParamVector, _: f64, _: u64) -> Result<ParamVector> {
        Err(nothing("a product with the Hessian"))
    }

    fn synaptic_flow(&self, _: &M, _: u64) -> Result<ParamVector> {
        Err(nothing("synaptic flow"))
    }
}

fn nothing(what: &'static str) -> Error {
    Error::Unmeasurable {
        what,
        reason: "the method ranks weights by it, and there is neither a loss nor a batch"
            .to_string(),
        instead: "attach with `Sparsity::attach` and a loss, or `Sparsity::attach_on` and a `Classification`",
    }
}
