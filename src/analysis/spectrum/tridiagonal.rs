//! Eigenvalues of symmetric tridiagonal matrices.

/// An eigenvalue of a tridiagonal matrix with the first and the last component of its unit
/// eigenvector: the weight of a Ritz value, and what its residual is proportional to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    pub value: f64,
    pub first: f64,
    pub last: f64,
}

/// All eigenvalues of the matrix with a diagonal and the numbers beside it, in ascending order.
///
/// The implicit QL algorithm with Wilkinson's shifts (Bowdler, Martin, Reinsch, Wilkinson 1968),
/// which rotates two rows of the eigenvectors along instead of all.
///
/// # Panics
///
/// If an eigenvalue takes more than 50 rotations, which no symmetric matrix of finite numbers does.
pub(super) fn eigenvalues(diagonal: &[f64], beside: &[f64]) -> Vec<Pair> {
    let size = diagonal.len();
    assert_eq!(
        beside.len() + 1,
        size.max(1),
        "one number between two of the diagonal"
    );
    let mut values = diagonal.to_vec();
    let mut between = beside.to_vec();
    between.push(0.0);
    let (mut first, mut last) = (vec![0.0; size], vec![0.0; size]);
    if size > 0 {
        (first[0], last[size - 1]) = (1.0, 1.0);
    }
    for low in 0..size {
        for turn in 0.. {
            let high =
                (low..size - 1).find(|&k| is_negligible(between[k], values[k], values[k + 1]));
            let high = high.unwrap_or(size - 1);
            if high == low {
                break;
            }
            assert!(
                turn < 50,
                "a symmetric matrix of finite numbers has eigenvalues"
            );
            sweep(
                &mut values,
                &mut between,
                low..high,
                &mut [&mut first, &mut last],
            );
        }
    }
    let mut pairs: Vec<Pair> = (0..size)
        .map(|k| Pair {
            value: values[k],
            first: first[k],
            last: last[k],
        })
        .collect();
    pairs.sort_by(|a, b| a.value.total_cmp(&b.value));
    pairs
}

fn is_negligible(between: f64, above: f64, below: f64) -> bool {
    between.abs() <= f64::EPSILON * (above.abs() + below.abs())
}

/// One QL sweep over a block that does not fall apart.
fn sweep(
    values: &mut [f64],
    between: &mut [f64],
    block: std::ops::Range<usize>,
    rows: &mut [&mut Vec<f64>; 2],
) {
    let (low, high) = (block.start, block.end);
    let half = (values[low + 1] - values[low]) / (2.0 * between[low]);
    let length = half.hypot(1.0);
    let mut g = values[high] - values[low] + between[low] / (half + length.copysign(half));
    let (mut sine, mut cosine, mut shift) = (1.0, 1.0, 0.0);
    for k in block.rev() {
        let (f, b) = (sine * between[k], cosine * between[k]);
        let radius = f.hypot(g);
        between[k + 1] = radius;
        if radius == 0.0 {
            // The block fell apart on the way: the next sweep takes the rest.
            values[k + 1] -= shift;
            between[high] = 0.0;
            return;
        }
        (sine, cosine) = (f / radius, g / radius);
        g = values[k + 1] - shift;
        let r = (values[k] - g) * sine + 2.0 * cosine * b;
        shift = sine * r;
        values[k + 1] = g + shift;
        g = cosine * r - b;
        for row in rows.iter_mut() {
            let (here, next) = (row[k], row[k + 1]);
            row[k + 1] = sine * here + cosine * next;
            row[k] = cosine * here - sine * next;
        }
    }
    values[low] -= shift;
    between[low] = g;
    between[high] = 0.0;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second difference on n points has the eigenvalues `2 − 2 cos(kπ/(n + 1))` and the
    /// eigenvectors `√(2/(n + 1)) sin(ikπ/(n + 1))`.
    #[test]
    fn the_second_difference_is_known() {
        for size in [1, 2, 3, 10, 60] {
            let pairs = eigenvalues(&vec![2.0; size], &vec![-1.0; size - 1]);
            for (k, pair) in pairs.iter().enumerate() {
                let angle = (k + 1) as f64 * std::f64::consts::PI / (size + 1) as f64;
                let component = (2.0 / (size + 1) as f64).sqrt() * angle.sin();
                // Rotations keep the error at a few ulps of the largest eigenvalue, 4.
                assert!((pair.value - (2.0 - 2.0 * angle.cos())).abs() < 1e-13);
                assert!((pair.first.abs() - component.abs()).abs() < 1e-12);
                assert!((pair.last.abs() - component.abs()).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn blocks_and_zeros_are_kept_apart() {
        let pairs = eigenvalues(&[3.0, 1.0, 0.0, 2.0], &[0.0, 0.0, 0.0]);
        let values: Vec<f64> = pairs.iter().map(|pair| pair.value).collect();
        assert_eq!(values, [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(pairs[3].first.abs(), 1.0);
        assert_eq!(pairs[2].last.abs(), 1.0);
        assert!(eigenvalues(&[], &[]).is_empty());
    }
}
