//! burn's layers, except that dead weights cost nothing.
//!
//! Drop-in replacements for burn's layers of the same names: `Linear::new(&config, device)` stands
//! for `config.init(device)`, and dense checkpoints load.
//!
//! | layer | from burn's it differs in |
//! |---|---|
//! | [`Linear`], [`Conv2d`], [`Conv1d`], [`ConvTranspose2d`] | time, and the order of sums |
//! | [`MultiHeadAttention`] | the type of its input, [`MhaInput`] |
//! | [`BatchNorm`] | a residual and ReLU that can be fused with it |
//! | [`LayerNorm`] | time, and the order of sums |
//!
//! What lies between the layers of a transformer takes more time than sparse layers do, and burn's
//! flex makes it of many operations: [`self_attention`] and [`gelu`] are functions.
//!
//! They hold no masks: an evaluation in a [scope](crate::masks::Masks::run) of masks, as
//! training steps make them, tells them what is live. Compressed forms are built once per mask and
//! live beside it.
//!
//! | | where | what |
//! |---|---|---|
//! | sparse | flex, `f32`, masks in scope, density below [`crossover`] | `y`, `∂L/∂x` and `∂L/∂w` on live weights alone ([`kernels`](crate::kernels)) |
//! | dense gradient | as above, in steps whose method ranks or trains dead weights | `∂L/∂w` at every position, the rest sparse |
//! | dense | everywhere else, and any other backend | burn's own operations on weights that are zero where dead |
//!
//! [`crate::masks::Execution`] forces one or the other. [`BatchNorm`] fuses statistics,
//! normalisation, residual and ReLU into two passes over memory on flex, masks or not; [`LayerNorm`],
//! [`self_attention`] and [`gelu`] are single operations there, too.

mod attention;
mod conv;
pub mod crossover;
#[cfg(feature = "flex")]
mod flex;
mod functions;
mod layer_norm;
mod linear;
mod meter;
mod norm;
mod record;
mod report;

pub use attention::{MhaInput, MultiHeadAttention};
pub use conv::{Conv1d, Conv2d, ConvTranspose2d};
pub use functions::{gelu, self_attention};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use meter::Spent;
pub use norm::BatchNorm;
pub(crate) use record::recorded;
pub use report::{ExecutionReport, LayerExecution};

#[cfg(feature = "flex")]
use {
    crate::masks::{Execution, Scope},
    burn::module::Param,
    burn::tensor::Tensor,
    std::sync::Arc,
};

/// The masks in scope, where kernels can compute with an input and a weight.
///
/// A weight that is not zero where its mask says dead is not the step's own: a dense copy of the
/// model in the same loss, say. It is computed as it is.
#[cfg(feature = "flex")]
fn scope_for<const D: usize, const W: usize>(
    input: &Tensor<D>,
    weight: &Param<Tensor<W>>,
) -> Option<Arc<Scope>> {
    let scope = Scope::current()?;
    if scope.execution == Execution::Dense || !scope.masks.contains(weight.id) {
        return None;
    }
    let value = weight.val();
    let computable = flex::takes(input) && flex::takes(&value);
    let own = computable && flex::is_described(&scope.masks, weight.id, value);
    own.then_some(scope)
}

#[cfg(feature = "flex")]
fn is_sparse(execution: Execution, density: f64, crossover: f64) -> bool {
    match execution {
        Execution::Sparse => true,
        Execution::Auto => density < crossover,
        Execution::Dense => false,
    }
}
