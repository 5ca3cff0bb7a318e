//! GELU and softmax on slices, in polynomials that compilers turn into vector instructions.
//!
//! `std`'s functions take one number at a time, and attention takes the exponential of every pair of tokens.

use super::simd::{Instructions, Job, Simd};

/// `y = x Φ(x)`, `Φ` the normal distribution function: the exact GELU. `|error| ≤ 4e-7 |x|`.
///
/// # Panics
///
/// If the slices differ in length.
pub(crate) fn gelu(input: &[f32], output: &mut [f32]) {
    assert_eq!(input.len(), output.len(), "GELU keeps sizes");
    Instructions::detect().run(Gelu { input, output });
}

/// Softmax down each column of rows of `columns` numbers: `exp(x − max) / Σ exp(x − max)`.
///
/// Columns, not rows: neighbours are independent then, and no vector has to be summed up.
///
/// # Panics
///
/// Without columns.
pub(crate) fn softmax(numbers: &mut [f32], columns: usize) {
    Instructions::detect().run(Softmax { numbers, columns });
}

struct Gelu<'a> {
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Job for Gelu<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (to, &x) in self.output.iter_mut().zip(self.input) {
            *to = 0.5 * x * (1.0 + erf(std::f32::consts::FRAC_1_SQRT_2 * x));
        }
    }
}

struct Softmax<'a> {
    numbers: &'a mut [f32],
    columns: usize,
}

impl Job for Softmax<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut most = vec![f32::NEG_INFINITY; self.columns];
        for row in self.numbers.chunks_exact(self.columns) {
            for (most, &number) in most.iter_mut().zip(row) {
                *most = if number > *most { number } else { *most };
            }
        }
        let mut sums = vec![0.0; self.columns];
        for row in self.numbers.chunks_exact_mut(self.columns) {
            for ((number, most), sum) in row.iter_mut().zip(&most).zip(&mut sums) {
                *number = exp(*number - most);
                *sum += *number;
            }
        }
        sums.iter_mut().for_each(|sum| *sum = sum.recip());
        for row in self.numbers.chunks_exact_mut(self.columns) {
            for (number, factor) in row.iter_mut().zip(&sums) {
                *number *= factor;
            }
        }
    }
}

/// Numerator and denominator of `erf(z) / z` in `z²`, lowest power first: least squares, reweighted until the error was level,
/// on [0, 3.92], where it is 1.4e-9 before rounding. Beyond, erf is ±1 in `f32`.
const NUMERATOR: [f32; 7] = [
    std::f32::consts::FRAC_2_SQRT_PI,
    0.184_700_34,
    0.054_278_508,
    0.003_832_38,
    0.000_380_382_58,
    4.718_129_3e-6,
    -1.333_762_7e-8,
];
const DENOMINATOR: [f32; 6] = [
    1.0,
    0.497_019_95,
    0.113_775_484,
    0.015_430_989,
    0.001_305_044_4,
    6.342_21e-5,
];

#[inline(always)]
fn erf(z: f32) -> f32 {
    let z = z.clamp(-3.92, 3.92);
    let ratio = polynomial(&NUMERATOR, z * z) / polynomial(&DENOMINATOR, z * z);
    (z * ratio).clamp(-1.0, 1.0)
}

/// `exp` of numbers that are not positive, NaN for NaN: `2ⁿ eʳ`, `|r| ≤ ln 2 / 2`, Taylor's series to the seventh power.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const TAYLOR: [f32; 8] = [
        1.0,
        1.0,
        1.0 / 2.0,
        1.0 / 6.0,
        1.0 / 24.0,
        1.0 / 120.0,
        1.0 / 720.0,
        1.0 / 5040.0,
    ];
    // Adding this leaves a whole number in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, of which the first has so few bits that n times it is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Below, 2ⁿ would not be a normal number. A comparison, because `max` would drop NaN.
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let power = (shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127))
        << 23;
    polynomial(&TAYLOR, r) * f32::from_bits(power)
}

#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// erf by its series, in `f64`. Terms cancel: their rounding is 1e-9 at 4, from where on 1 is as near.
    fn series(z: f64) -> f64 {
        if z.abs() > 4.0 {
            return z.signum();
        }
        let (mut term, mut sum) = (z, z);
        for n in 1..200 {
            term *= -z * z / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn gelu_is_exact() {
        let input: Vec<f32> = (-4000..=4000).map(|i| i as f32 / 400.0).collect();
        let mut output = vec![0.0; input.len()];
        gelu(&input, &mut output);
        for (&x, &y) in input.iter().zip(&output) {
            let x = f64::from(x);
            let exact = 0.5 * x * (1.0 + series(x * std::f64::consts::FRAC_1_SQRT_2));
            assert!(
                (f64::from(y) - exact).abs() <= 4e-7 * x.abs(),
                "{x}: {y}, {exact}"
            );
        }
        let mut output = [0.0];
        gelu(&[f32::NAN], &mut output);
        assert!(output[0].is_nan());
    }

    #[test]
    fn softmax_is_exact() {
        for [rows, columns] in [[1, 1], [7, 3], [8, 17], [65, 64]] {
            let number = |i: usize| ((i * i * 7919) % 1009) as f32 / 10.0 - 70.0;
            let input: Vec<f32> = (0..rows * columns).map(number).collect();
            let mut output = input.clone();
            softmax(&mut output, columns);
            for column in 0..columns {
                let row = input.iter().skip(column).step_by(columns);
                let found = output.iter().skip(column).step_by(columns);
                let most = row.clone().copied().fold(f32::NEG_INFINITY, f32::max);
                let weight = |x: f32| (f64::from(x) - f64::from(most)).exp();
                let sum: f64 = row.clone().map(|x| weight(*x)).sum();
                for (&x, &y) in row.zip(found) {
                    let exact = weight(x) / sum;
                    let apart = (f64::from(y) - exact).abs();
                    // The difference from the maximum is rounded before its exponential is taken.
                    let rounding = f64::from(most - x) * f64::from(f32::EPSILON) / 2.0;
                    let bound = (1e-6 + rounding) * exact + 1e-37;
                    assert!(apart <= bound, "{x}: {y}, {exact}");
                }
            }
        }
        let mut row = [0.0, f32::NAN, 1.0];
        softmax(&mut row, 1);
        assert!(row.iter().all(|number| number.is_nan()));
    }
}
