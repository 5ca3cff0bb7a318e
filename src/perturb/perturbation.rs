//! What a perturbation is.

use burn::module::Module;

use super::{Ascent, Descent, Gradients, Memory, Site};
use crate::error::Result;
use crate::objective::{BatchLoss, Objective};

/// Finds the point at which the gradient of a step is measured, and says what becomes of that
/// gradient.
///
/// A perturbation is its configuration, as a sparsity method is; what has to last from step to step
/// is in the [`Memory`] that the optimizer keeps for it. Implementations never change the model:
/// they evaluate the [`Objective`] at offsets.
///
/// A user's own, which looks ahead along the last gradient:
///
/// ```
/// use burn::module::Module;
/// use zosam::objective::{BatchLoss, Objective, Offset};
/// use zosam::perturb::{Ascent, Descent, Gradients, Memory, Perturbation, Site};
///
/// #[derive(Debug, Clone)]
/// struct LookAhead(f64);
///
/// impl Perturbation for LookAhead {
///     fn ascend<M: Module, F: BatchLoss<M>>(
///         &self,
///         _objective: &mut Objective<'_, M, F>,
///         site: Site<'_>,
///         memory: &Memory,
///     ) -> Ascent<M, F::Extra> {
///         match memory.vector("last", site.masks) {
///             Some(direction) => Ascent::to(Offset { direction, scale: -self.0 }),
///             None => Ascent::none(),
///         }
///     }
///
///     fn descend(&self, found: Gradients, site: Site<'_>, memory: &mut Memory) -> Descent {
///         memory.put("last", found.perturbed.clone(), site.masks);
///         found.perturbed.into()
///     }
///
///     fn vectors(&self) -> usize {
///         1
///     }
/// }
/// ```
pub trait Perturbation: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// Checks the configuration, once, before a step is taken. By default any is valid.
    ///
    /// # Errors
    ///
    /// A field out of its range.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Finds `ε`, in the live subspace, for one batch of this step.
    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        memory: &Memory,
    ) -> Ascent<M, F::Extra>;

    /// Makes the base optimizer's gradient of the measured ones, once per step. By default it is
    /// the one at `θ + ε`.
    fn descend(&self, found: Gradients, _site: Site<'_>, _memory: &mut Memory) -> Descent {
        found.perturbed.into()
    }

    /// The largest number of vectors that the memory ever holds.
    fn vectors(&self) -> usize {
        0
    }

    /// Whether the loss has to be [`Samples`](crate::objective::Samples), not a closure.
    fn needs_samples(&self) -> bool {
        false
    }

    /// Whether a [`Descent`] may have a drift, which only
    /// [`step_with`](crate::SharpOptimizer::step_with), `step_on` and `step_accumulated` apply.
    fn drifts(&self) -> bool {
        false
    }
}
