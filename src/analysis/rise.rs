//! How much higher the loss is nearby.

use burn::module::Module;

use crate::masks::Masks;
use crate::objective::{BatchLoss, Objective, Offset};
use crate::perturb::{Ascent, Scope, Site};
use crate::tree::{self, DirectionDistribution};

/// Sharpness along a perturbation: `L(θ + ε) − L(θ)`.
///
/// With `ε` of SAM's step on a batch it is what SAM calls sharpness. Two forwards without a graph; the model is left untouched.
pub fn rise<M: Module, F: BatchLoss<M>>(model: &M, offset: &Offset, loss: F) -> f64 {
    let mut objective = Objective::new(model, loss, 0);
    objective.value(Some(offset)) - objective.value(None)
}

/// The largest rise among random perturbations: `max_i L(θ ± ρ uᵢ/‖uᵢ‖) − L(θ)`, of `draws` Gaussian directions on the live weights.
///
/// A random direction rises by curvature only, to first order by nothing, so this is about the trace of the Hessian; in many dimensions the worst of a
/// few draws is near their mean. `2 · draws + 1` forwards without a graph. Zero if `draws` is.
pub fn worst_rise<M: Module, F: BatchLoss<M>>(
    model: &M,
    masks: &Masks,
    rho: f64,
    draws: u64,
    seed: u64,
    loss: F,
) -> f64 {
    let (leaves, weights) = (tree::trained(model), tree::float_values(model));
    let site = Site {
        leaves: &leaves,
        weights: &weights,
        masks,
        seed,
        step: 0,
        lr: None,
        strength: 1.0,
    };
    let mut objective = Objective::new(model, loss, 0);
    let here = objective.value(None);
    let mut worst = 0.0_f64;
    for index in 0..draws {
        let gaussian = DirectionDistribution::Gaussian;
        let direction = site.direction(index, gaussian, Scope::AllTrainable);
        let Some(plus) = Ascent::<M, ()>::along(direction, rho).offset else {
            continue;
        };
        for offset in [plus.negated(), plus] {
            worst = worst.max(objective.value(Some(&offset)) - here);
        }
    }
    worst
}

/// Mean and spread of the gradient over batches, on the live weights.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct GradientNoise {
    /// `‖ḡ‖`, the norm of the mean gradient.
    pub norm: f64,
    /// `mean_i ‖gᵢ − ḡ‖²`: the variance, summed over components.
    pub variance: f64,
}

/// The gradient's mean and variance over batches: one forward and one backward each.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::{Linear, LinearConfig}, tensor::{Device, Tensor}};
/// use zosam::{analysis::gradient_noise, masks::Masks};
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(1, 1).with_bias(false).init(&device);
/// // The gradients of w x are the x.
/// let losses = [1.0, 3.0].map(|x| {
///     let x = Tensor::<2>::full([1, 1], x, &device);
///     move |model: &Linear| model.forward(x.clone()).sum()
/// });
/// let noise = gradient_noise(&model, &Masks::dense(), losses);
/// assert_eq!((noise.norm, noise.variance), (2.0, 1.0));
/// # }
/// ```
pub fn gradient_noise<M: Module, F: BatchLoss<M>>(
    model: &M,
    masks: &Masks,
    losses: impl IntoIterator<Item = F>,
) -> GradientNoise {
    let gradients = losses.into_iter().map(|loss| {
        let gradient = Objective::new(model, loss, 0).gradient(None).vector;
        masks.project(gradient)
    });
    let (mut sum, mut squares, mut count) = (tree::ParamVector::default(), 0.0, 0.0);
    for gradient in gradients {
        squares += gradient.dot(&gradient);
        sum = sum.plus_scaled(&gradient, 1.0);
        count += 1.0;
    }
    if count == 0.0 {
        return GradientNoise {
            norm: 0.0,
            variance: 0.0,
        };
    }
    let norm = sum.norm() / count;
    GradientNoise {
        norm,
        variance: (squares / count - norm * norm).max(0.0),
    }
}
