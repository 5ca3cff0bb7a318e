//! How much higher the loss is nearby.

use burn::module::Module;
use serde::{Deserialize, Serialize};

use crate::masks::Masks;
use crate::objective::{BatchLoss, Objective, Offset};
use crate::perturb::{Ascent, Scope, Site};
use crate::tree::{self, DirectionDistribution, ParamVector};

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
    let mut objective = Objective::new(model, loss, 0);
    let here = objective.value(None);
    let directions = random_directions(model, masks, draws, seed);
    let rises = directions.into_iter().flat_map(|direction| {
        let losses = both_sides(&mut objective, direction, rho);
        losses.map(|loss| loss - here)
    });
    rises.fold(0.0, f64::max)
}

/// How far the loss rises at growing distances from `θ`, along the perturbations of three methods.
///
/// Means over random directions of the live weights; both signs of a direction are evaluated, so that
/// ZO-SAM's and the coin's rise are of the same points.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RiseProfile {
    /// The distances `ρ`, in units of the weights.
    pub radii: Vec<f64>,
    /// `L(θ + ρ g/‖g‖) − L(θ)`: SAM's.
    pub gradient: Vec<f64>,
    /// `max(L(θ + ρ u/‖u‖), L(θ − ρ u/‖u‖)) − L(θ)`: ZO-SAM's for one direction, whose sign is measured.
    pub measured_sign: Vec<f64>,
    /// `(L(θ + ρ u/‖u‖) + L(θ − ρ u/‖u‖))/2 − L(θ)`: a coin's, which is about `ρ²/2n tr H` of `n` live weights.
    pub random_sign: Vec<f64>,
}

/// Measures a [`RiseProfile`]: one forward and one backward pass, and `2 + 2 · draws` forwards for each
/// radius. The rise along the gradient is NaN where there is none: burn takes no gradient of a model in
/// validation mode.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::{Linear, LinearConfig}, tensor::Device};
/// use zosam::{analysis::rise_profile, masks::Masks};
/// let model = LinearConfig::new(4, 1).with_bias(false).init(&Device::flex().autodiff());
/// // ½‖w‖² rises by ½ρ² across a sphere, on average, and by ρ‖w‖ more along its gradient.
/// let loss = |model: &Linear| model.weight.val().powi_scalar(2).sum() * 0.5;
/// let rises = rise_profile(&model, &Masks::dense(), &[0.2], 3, 0, loss);
/// assert!((rises.random_sign[0] - 0.02).abs() < 1e-6);
/// assert!(rises.gradient[0] > rises.measured_sign[0]);
/// # }
/// ```
pub fn rise_profile<M: Module, F: BatchLoss<M>>(
    model: &M,
    masks: &Masks,
    radii: &[f64],
    draws: u64,
    seed: u64,
    loss: F,
) -> RiseProfile {
    let mut objective = Objective::new(model, loss, 0);
    let here = objective.value(None);
    let gradient = masks.project(objective.gradient(None).vector.whole());
    let directions = random_directions(model, masks, draws, seed);
    let mut profile = RiseProfile::default();
    for &radius in radii {
        let along = match gradient.is_empty() {
            true => f64::NAN,
            false => both_sides(&mut objective, gradient.clone(), radius)[0],
        };
        let (mut larger, mut mean) = (0.0, 0.0);
        for direction in &directions {
            let [plus, minus] = both_sides(&mut objective, direction.clone(), radius);
            larger += (plus.max(minus) - here) / draws as f64;
            mean += (0.5 * (plus + minus) - here) / draws as f64;
        }
        profile.radii.push(radius);
        profile.gradient.push(along - here);
        profile.measured_sign.push(larger);
        profile.random_sign.push(mean);
    }
    profile
}

/// The losses at distance `ρ` along a direction and against it; that at `θ`, twice, where the direction has
/// no length.
fn both_sides<M: Module, F: BatchLoss<M>>(
    objective: &mut Objective<'_, M, F>,
    direction: ParamVector,
    rho: f64,
) -> [f64; 2] {
    match Ascent::<M, ()>::along(direction, rho).offset {
        Some(plus) => [plus.clone(), plus.negated()].map(|at| objective.value(Some(&at))),
        None => [objective.value(None); 2],
    }
}

/// Gaussian directions of the live weights.
fn random_directions<M: Module>(
    model: &M,
    masks: &Masks,
    draws: u64,
    seed: u64,
) -> Vec<ParamVector> {
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
    let gaussian = DirectionDistribution::Gaussian;
    let draw = |index| site.direction(index, gaussian, Scope::AllTrainable);
    (0..draws).map(draw).collect()
}

/// Mean and spread of the gradient over batches, on the live weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GradientNoise {
    /// `‖ḡ‖`, the norm of the mean gradient.
    pub norm: f64,
    /// `mean_i ‖gᵢ − ḡ‖²`: the variance, summed over components.
    pub variance: f64,
}

/// The gradient's mean and variance over batches: one forward and one backward each. NaN where there is no
/// gradient: without a batch, or of a model in validation mode.
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
    let (mut sum, mut squares, mut count) = (ParamVector::default(), 0.0, 0.0);
    for gradient in gradients {
        squares += gradient.dot(&gradient);
        sum = sum.plus_scaled(&gradient, 1.0);
        count += 1.0;
    }
    if sum.is_empty() {
        return GradientNoise {
            norm: f64::NAN,
            variance: f64::NAN,
        };
    }
    let norm = sum.norm() / count;
    GradientNoise {
        norm,
        variance: (squares / count - norm * norm).max(0.0),
    }
}
