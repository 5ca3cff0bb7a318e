//! Softmax, along rows or down columns.

use super::activation::decay;
use super::simd::{Instructions, Job, Simd};

/// Softmax in place of numbers `[outer, count, inner]` over the `count`:
/// `exp(x − max) / Σ exp(x − max)`, or its logarithm.
///
/// Where `inner` is not 1, neighbours are independent, and no vector has to be summed up.
pub(crate) fn softmax(numbers: &mut [f32], [count, inner]: [usize; 2], logarithm: bool) {
    Instructions::detect().run(Softmax {
        numbers,
        count,
        inner,
        logarithm,
    });
}

struct Softmax<'a> {
    numbers: &'a mut [f32],
    count: usize,
    inner: usize,
    logarithm: bool,
}

impl Job for Softmax<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        if self.inner == 1 {
            for row in self.numbers.chunks_exact_mut(self.count.max(1)) {
                match self.logarithm {
                    true => along::<true>(row),
                    false => along::<false>(row),
                }
            }
            return;
        }
        let mut memory = vec![0.0; 2 * self.inner];
        let (most, sums) = memory.split_at_mut(self.inner);
        for block in self
            .numbers
            .chunks_exact_mut((self.count * self.inner).max(1))
        {
            match self.logarithm {
                true => down::<true>(block, most, sums),
                false => down::<false>(block, most, sums),
            }
        }
    }
}

/// Partial results of a row, so that its sum is made of vectors.
const LANES: usize = 16;

/// Of one row.
#[inline(always)]
pub(super) fn along<const LOGARITHM: bool>(row: &mut [f32]) {
    let mut most = [f32::NEG_INFINITY; LANES];
    for part in row.chunks(LANES) {
        for (most, &number) in most.iter_mut().zip(part) {
            *most = larger(*most, number);
        }
    }
    let most = most.into_iter().fold(f32::NEG_INFINITY, larger);
    let mut sums = [0.0; LANES];
    for part in row.chunks_mut(LANES) {
        for (sum, number) in sums.iter_mut().zip(part) {
            let weight = decay(*number - most);
            *sum += weight;
            *number = if LOGARITHM { *number - most } else { weight };
        }
    }
    let sum: f32 = sums.iter().sum();
    let (factor, summand) = match LOGARITHM {
        true => (1.0, -sum.ln()),
        false => (sum.recip(), 0.0),
    };
    for number in row {
        *number = *number * factor + summand;
    }
}

#[inline(always)]
fn down<const LOGARITHM: bool>(block: &mut [f32], most: &mut [f32], sums: &mut [f32]) {
    let columns = most.len();
    most.fill(f32::NEG_INFINITY);
    for row in block.chunks_exact(columns) {
        for (most, &number) in most.iter_mut().zip(row) {
            *most = larger(*most, number);
        }
    }
    sums.fill(0.0);
    for row in block.chunks_exact_mut(columns) {
        for ((number, most), sum) in row.iter_mut().zip(&*most).zip(&mut *sums) {
            let weight = decay(*number - most);
            *sum += weight;
            *number = if LOGARITHM { *number - most } else { weight };
        }
    }
    for sum in &mut *sums {
        *sum = if LOGARITHM { -sum.ln() } else { sum.recip() };
    }
    for row in block.chunks_exact_mut(columns) {
        for (number, sum) in row.iter_mut().zip(&*sums) {
            *number = if LOGARITHM {
                *number + sum
            } else {
                *number * sum
            };
        }
    }
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_is_exact() {
        for (count, inner) in [(1, 1), (7, 1), (40, 1), (7, 3), (8, 17), (65, 64)] {
            let number = |i: usize| ((i * i * 7919) % 1009) as f32 / 10.0 - 70.0;
            let input: Vec<f32> = (0..2 * count * inner).map(number).collect();
            let (mut output, mut logarithms) = (input.clone(), input.clone());
            softmax(&mut output, [count, inner], false);
            softmax(&mut logarithms, [count, inner], true);
            for line in 0..2 * inner {
                let start = line / inner * count * inner + line % inner;
                let of = |numbers: &[f32]| -> Vec<f32> {
                    let line = numbers[start..].iter().step_by(inner).take(count);
                    line.copied().collect()
                };
                let line = of(&input);
                let most = line.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let weight = |x: f32| (f64::from(x) - f64::from(most)).exp();
                let sum: f64 = line.iter().map(|x| weight(*x)).sum();
                for ((&x, &y), &log) in line.iter().zip(&of(&output)).zip(&of(&logarithms)) {
                    let exact = weight(x) / sum;
                    let apart = (f64::from(y) - exact).abs();
                    // The difference from the maximum is rounded before its exponential is taken.
                    let rounding = f64::from(most - x) * f64::from(f32::EPSILON) / 2.0;
                    let bound = (1e-6 + rounding) * exact + 2e-38;
                    assert!(apart <= bound, "{x}: {y}, {exact}");
                    // Rounding of a difference of up to 101, and of the logarithm of the sum.
                    let exact = f64::from(x) - f64::from(most) - sum.ln();
                    assert!((f64::from(log) - exact).abs() < 1e-5, "{x}: {log}, {exact}");
                }
            }
        }
        for inner in [1, 3] {
            let mut row = [0.0, f32::NAN, 1.0];
            softmax(&mut row, [3 / inner, inner], false);
            assert!(row.iter().any(|number| number.is_nan()));
        }
    }
}
