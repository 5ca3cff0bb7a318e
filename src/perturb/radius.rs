//! From a direction to an offset of a given length.

use burn::tensor::Tensor;

use super::PlainReason;
use crate::objective::Offset;
use crate::tree::ParamVector;

/// Below this a norm counts as zero. Squares of f32 components underflow not far below it.
pub(super) const SMALLEST_NORM: f64 = 1e-30;

/// `ρ v/‖v‖` as the direction and a factor, or the reason why there is no such vector. Reads the
/// norm.
pub(super) fn normalised(direction: ParamVector, rho: f64) -> Result<Offset, PlainReason> {
    let norm = direction.norm();
    match unusable(norm) {
        Some(reason) => Err(reason),
        None => Ok(Offset {
            direction,
            scale: rho / norm,
        }),
    }
}

/// Why nothing can be divided by a norm, if so.
pub(crate) fn unusable(norm: f64) -> Option<PlainReason> {
    match norm {
        norm if !norm.is_finite() => Some(PlainReason::NonFinite),
        norm if norm < SMALLEST_NORM => Some(PlainReason::ZeroEstimate),
        _ => None,
    }
}

/// `ρ v/‖v‖`.
pub(super) struct Along {
    pub offset: Offset,
    /// `‖v‖` where it has not been read: the offset is zero if it turns out to be [`unusable`].
    pub norm: Option<Tensor<1>>,
}

impl Along {
    /// A vector of length `ρ`, without a wait for a device, or the reason why there is no such
    /// vector.
    pub fn new(direction: ParamVector, rho: f64) -> Result<Self, PlainReason> {
        let Some(joined) = direction.joined() else {
            let offset = normalised(direction, rho)?;
            return Ok(Self { offset, norm: None });
        };
        let norm = (joined.tensor.clone() * joined.tensor.clone()).sum().sqrt();
        let usable = norm.clone().greater_equal_elem(SMALLEST_NORM);
        let unusable = usable.bool_and(norm.clone().is_finite()).bool_not();
        let factor = norm.clone().recip().mul_scalar(rho);
        let size = joined.layout.len();
        // A product with zero would keep what is not finite.
        let scaled = joined.map(|v| (v * factor).mask_fill(unusable.expand([size]), 0.0));
        Ok(Self {
            offset: Offset {
                direction: ParamVector::from(scaled),
                scale: 1.0,
            },
            norm: Some(norm),
        })
    }
}
