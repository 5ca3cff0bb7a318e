//! What loss closures tell.

use burn::module::Module;

use super::Evidence;
use crate::error::{Error, Result};
use crate::objective::{Loss, Objective};
use crate::tree::ParamVector;

/// One loss per batch: enough for gradients.
pub(crate) struct Losses<F>(pub Vec<F>);

impl<M: Module, L: Loss, F: Fn(&M) -> L> Evidence<M> for Losses<F> {
    fn gradient(&self, model: &M, temperature: f64, seed: u64) -> Result<ParamVector> {
        if temperature != 1.0 {
            return Err(opaque("the gradient at a temperature"));
        }
        let gradients = self
            .0
            .iter()
            .map(|loss| Objective::new(model, loss, seed).gradient(None).vector);
        let sum = gradients.reduce(|sum, gradient| sum.plus_scaled(&gradient, 1.0));
        Ok(sum.unwrap_or_default())
    }

    fn hessian_product(&self, _: &M, _: &ParamVector, _: f64, _: u64) -> Result<ParamVector> {
        Err(opaque("a product with the Hessian"))
    }

    fn synaptic_flow(&self, _: &M, _: u64) -> Result<ParamVector> {
        Err(opaque("synaptic flow"))
    }
}

fn opaque(what: &'static str) -> Error {
    Error::Unmeasurable {
        what,
        reason: "a loss closure shows neither images nor logits".to_string(),
        instead: "attach with `Sparsity::attach_on` and a `Classification`",
    }
}
