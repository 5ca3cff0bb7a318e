//! What methods may measure before they choose the first masks.

mod classification;
mod differences;
mod losses;
mod nothing;

pub use classification::Classification;
pub(crate) use losses::Losses;

use burn::module::Module;

use crate::error::Result;
use crate::tree::ParamVector;

/// The vector that a method's first masks are computed from, in
/// [`Weight::gradient`](super::Weight::gradient).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Need {
    /// None. The default.
    #[default]
    Nothing,
    /// `g = ∇L(θ)`, in training mode.
    Gradient,
    /// `H g`, in training mode, for the loss of logits divided by a temperature; `g` and the rows
    /// of `H` are those of the sparse weights.
    HessianGradient {
        /// Divisor of the logits.
        temperature: f64,
    },
    /// `∂R/∂|θ|` up to a factor, where `R` sums the outputs for an input of ones of the network
    /// with all parameters and running statistics replaced by their absolute values, in inference
    /// mode.
    SynapticFlow,
}

/// Measures a model on data, before training; see
/// [`Sparsity::attach_on`](super::Sparsity::attach_on).
///
/// [`Classification`] measures all there is. `()` measures nothing, for methods that [need](Need)
/// nothing. Implement it where a model is not a classifier.
pub trait Evidence<M: Module> {
    /// `∇L(θ)`, summed over batches, for the loss of logits divided by a temperature.
    ///
    /// # Errors
    ///
    /// If it cannot be measured.
    fn gradient(&self, model: &M, temperature: f64, seed: u64) -> Result<ParamVector>;

    /// `H v`, summed over batches.
    ///
    /// # Errors
    ///
    /// If it cannot be measured.
    fn hessian_product(
        &self,
        model: &M,
        vector: &ParamVector,
        temperature: f64,
        seed: u64,
    ) -> Result<ParamVector>;

    /// `∂R/∂|θ|`, scaled so that the largest component is 1; see [`Need::SynapticFlow`].
    ///
    /// # Errors
    ///
    /// If it cannot be measured.
    fn synaptic_flow(&self, model: &M, seed: u64) -> Result<ParamVector>;
}
