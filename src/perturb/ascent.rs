//! What a perturbation finds, and the ascents that SAM's relatives share.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::radius::Along;
use super::{Scope, Site};
use crate::objective::{BatchLoss, Forward, Objective, Offset};
use crate::tree::ParamVector;

/// Why a step was taken at `θ` although a perturbation was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlainReason {
    /// The estimate is zero: nothing tells up from down, or nothing is to be perturbed, as where
    /// ESAM has drawn no tensor.
    ZeroEstimate,
    /// The sparsity method wants none at this step: a lottery ticket's search.
    Method,
    /// The estimate, or loss or gradient at the perturbed point, is infinite or not a number.
    NonFinite,
    /// Nor is the gradient at `θ` finite: the batch is left out, and without another one weights
    /// stay as they are.
    NoGradient,
}

/// What a perturbation hands to the step.
pub struct Ascent<M, E> {
    /// `ε`; `None` to differentiate at `θ`.
    pub offset: Option<Offset>,
    /// The forward pass at `θ + ε`, where it has been made already.
    pub forward: Option<Forward<M, E>>,
    /// The twin whose forward pass at `θ` sets the running statistics; by default the pass that is
    /// differentiated does.
    pub buffers: Option<M>,
    /// The gradient at `θ`, where it has been measured and
    /// [`descend`](super::Perturbation::descend) or the growth of weights may want it.
    pub here: Option<ParamVector>,
    /// Set if `ε` had to be given up.
    pub plain: Option<PlainReason>,
    /// The norm that a direction was divided by, on a device that nobody has waited for. If it is
    /// zero or not finite, there is no `ε`. The step reads it together with the loss.
    pub norm: Option<Tensor<1>>,
}

impl<M, E> Ascent<M, E> {
    /// Differentiate at `θ`.
    pub fn none() -> Self {
        Self {
            offset: None,
            forward: None,
            buffers: None,
            here: None,
            plain: None,
            norm: None,
        }
    }

    /// Differentiate at `θ`, for want of a usable estimate.
    pub fn given_up(reason: PlainReason) -> Self {
        Self {
            plain: Some(reason),
            ..Self::none()
        }
    }

    /// Differentiate at distance `ρ` from `θ` along a direction.
    pub fn along(direction: ParamVector, rho: f64) -> Self {
        match Along::new(direction, rho) {
            Ok(along) => along.into(),
            Err(reason) => Self::given_up(reason),
        }
    }

    /// Differentiate at `θ + offset`.
    pub fn to(offset: Offset) -> Self {
        Self {
            offset: Some(offset),
            ..Self::none()
        }
    }
}

impl<M: Module, E> Ascent<M, E> {
    /// Makes an ascent of the gradient at `θ`: one forward and one backward pass, whose running
    /// statistics are the step's.
    ///
    /// The gradient is dense: [restrict](Site::restrict) it to the live weights before it is
    /// normalised.
    pub fn from_gradient<F: BatchLoss<M, Extra = E>>(
        objective: &mut Objective<'_, M, F>,
        ascend: impl FnOnce(ParamVector) -> Self,
    ) -> Self {
        let here = objective.gradient(None);
        let ascent = ascend(here.vector.clone());
        Self {
            buffers: Some(here.twin),
            here: Some(here.vector),
            ..ascent
        }
    }
}

impl<M, E> From<Along> for Ascent<M, E> {
    fn from(Along { offset, norm }: Along) -> Self {
        Self {
            norm,
            ..Self::to(offset)
        }
    }
}

/// SAM's ascent: to `ε = ρ g/‖g‖`.
pub(super) fn along_gradient<M: Module, F: BatchLoss<M>>(
    objective: &mut Objective<'_, M, F>,
    site: Site<'_>,
    scope: Scope,
    rho: f64,
) -> Ascent<M, F::Extra> {
    Ascent::from_gradient(objective, |gradient| {
        Ascent::along(site.restrict(gradient, scope), site.radius(rho))
    })
}
