//! Lanczos' algorithm on the live weights.

use super::tridiagonal::{Pair, eigenvalues};
use crate::error::Result;
use crate::tree::ParamVector;

/// What a number of products with a symmetric matrix say about it, seen from one start vector.
#[derive(Debug, Clone)]
pub(super) struct Krylov {
    /// The eigenvalues of the matrix on the Krylov space, in ascending order.
    pub ritz: Vec<Pair>,
    /// The length of what the space lacks to be invariant: residuals are it times `last`.
    pub rest: f64,
}

/// `steps` products, or fewer where the space is invariant before.
///
/// Every new vector is made orthogonal to all earlier ones, twice, so that no eigenvalue appears
/// twice by rounding; memory is one vector per step.
pub(super) fn krylov(
    start: ParamVector,
    steps: usize,
    mut product: impl FnMut(&ParamVector) -> Result<ParamVector>,
) -> Result<Krylov> {
    let (mut diagonal, mut beside) = (Vec::new(), Vec::new());
    let mut basis: Vec<ParamVector> = Vec::new();
    let mut next = start;
    let mut scale = 0.0f64;
    let rest = loop {
        let length = next.norm();
        if let Some(last) = diagonal.last() {
            let last: &f64 = last;
            scale = scale.max(last.abs() + length);
        }
        // Vectors are of f32: what is smaller than this is rounding of the products.
        let is_invariant = length <= scale * f64::from(f32::EPSILON) * 10.0;
        if basis.len() == steps || is_invariant {
            break length;
        }
        if !basis.is_empty() {
            beside.push(length);
        }
        let unit = next.scaled(length.recip());
        let mut image = product(&unit)?;
        diagonal.push(unit.dot(&image));
        basis.push(unit);
        for _ in 0..2 {
            for vector in basis.iter().rev() {
                let share = vector.dot(&image);
                image = image.plus_scaled(vector, -share);
            }
        }
        next = image;
    };
    Ok(Krylov {
        ritz: eigenvalues(&diagonal, &beside),
        rest,
    })
}
