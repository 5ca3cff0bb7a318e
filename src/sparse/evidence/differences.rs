//! Products with the Hessian from differences of gradients.
//!
//! On a net with ReLUs a step of any ordinary length flips some of them, and the jumps of the
//! gradient there swamp the curvature (measured on a ResNet-32: cosine with the exact product below
//! 0.12 for steps of 1e-8 and more, 1.000 for 1e-9). So the gradients are those of an f64 copy,
//! steps become shorter until two of them agree, and if none do, that is an error and not a mask.

use burn::module::Module;
use burn::tensor::FloatDType;

use crate::error::{Error, Result};
use crate::tree::{self, ParamVector};

/// Lengths of the steps, in parameter space.
const STEPS: [f64; 7] = [1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10];

/// Products of two steps agree if they differ by less than this, relative to their length. Kinks
/// make them differ by about their length; rounding alone by less than 1e-4 on the nets tried.
const AGREEMENT: f64 = 1e-3;

/// `(∇L(θ + h u) − ∇L(θ − h u)) |v| / 2h` with `u = v / |v|`, for the step `h` that agrees best
/// with the next.
pub(super) fn hessian_product<M: Module>(
    model: &M,
    vector: &ParamVector,
    gradient: impl Fn(&M) -> ParamVector,
) -> Result<ParamVector> {
    let length = vector.norm();
    if length == 0.0 {
        return Ok(vector.clone());
    }
    let cast = |vector: ParamVector, dtype| vector.map(|_, component| component.cast(dtype));
    let unit = cast(vector.clone(), FloatDType::F64).scaled(length.recip());
    let model = tree::cast(model, FloatDType::F64);
    let product = |step: f64| {
        let at = |step| gradient(&tree::perturbed(&model, &unit, step, |_| true));
        let difference = at(step).plus_scaled(&at(-step), -1.0);
        cast(difference.scaled(length / (2.0 * step)), FloatDType::F32)
    };
    let mut best: Option<(f64, ParamVector)> = None;
    let mut last: Option<ParamVector> = None;
    for step in STEPS {
        let next = product(step);
        if let Some(last) = last {
            let apart = distance(&last, &next);
            if best.as_ref().is_none_or(|(least, _)| apart < *least) {
                best = Some((apart, last));
            }
        }
        last = Some(next);
    }
    match best {
        Some((apart, product)) if apart < AGREEMENT => Ok(product),
        Some((apart, _)) => Err(unmeasurable(format!(
            "differences of gradients at steps from 1e-4 to 1e-10 differ by {apart:.1e} at best, relative to their \
             length: the loss has kinks everywhere, is not deterministic, or is not finite"
        ))),
        None => unreachable!("there are several steps"),
    }
}

/// How far two products are apart, relative to the second one's length. Two that are zero
/// everywhere agree; what is not a number agrees with nothing.
fn distance(last: &ParamVector, next: &ParamVector) -> f64 {
    let apart = last.clone().plus_scaled(next, -1.0).norm();
    match apart == 0.0 {
        true => 0.0,
        false if apart.is_nan() => f64::INFINITY,
        false => apart / next.norm(),
    }
}

/// Why there is no such product, and what to do.
pub(super) fn unmeasurable(reason: String) -> Error {
    Error::Unmeasurable {
        what: "a product with the Hessian",
        reason,
        instead: "give the model a `forward_tangent` and pass it to `Classification::with_tangent`",
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    /// What is not a number at any step used to count as a product on which all steps agree.
    #[test]
    fn gradients_that_are_no_numbers_have_no_product() {
        let device = Device::flex().autodiff();
        let model = LinearConfig::new(2, 1).init(&device);
        let gradient = |value: f64| {
            move |model: &Linear| {
                let weight = model.weight.val().inner().full_like(value);
                let mut gradient = ParamVector::default();
                gradient.push(model.weight.id, weight.flatten::<1>(0, 1));
                gradient
            }
        };
        let vector = gradient(1.0)(&model);
        let refused = hessian_product(&model, &vector, gradient(f64::NAN)).unwrap_err();
        assert!(refused.to_string().contains("not finite"), "{refused}");
        let flat = hessian_product(&model, &vector, gradient(3.0)).unwrap();
        assert_eq!(flat.norm(), 0.0);
    }
}
