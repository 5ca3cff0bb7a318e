//! GELU, exponentials and the like in polynomials, which compilers turn into vector instructions:
//! `std`'s functions take one number at a time.

/// `y = x Φ(x)`, `Φ` the normal distribution function: the exact GELU. `|error| ≤ 4e-7 |x|`.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(std::f32::consts::FRAC_1_SQRT_2 * x))
}

/// Numerator and denominator of `erf(z) / z` in `z²`, lowest power first: least squares, reweighted
/// until the error was level, on [0, 3.92], where it is 1.4e-9 before rounding. Beyond, erf is ±1
/// in `f32`.
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
pub(crate) fn erf(z: f32) -> f32 {
    let z = z.clamp(-3.92, 3.92);
    let ratio = polynomial(&NUMERATOR, z * z) / polynomial(&DENOMINATOR, z * z);
    (z * ratio).clamp(-1.0, 1.0)
}

/// NaN for NaN. Below -87 it is as at -87; above 88.72 infinite.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Comparisons, because `min` and `max` would drop NaN.
    let x = if x > 89.0 { 89.0 } else { x };
    let (rest, n) = powers(x);
    // In two factors: at the upper end 2ⁿ alone would be infinite too early.
    let half = n >> 1;
    rest * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// [`exp`] of numbers that are not positive.
#[inline(always)]
pub(crate) fn decay(x: f32) -> f32 {
    let (rest, n) = powers(x);
    rest * power_of_two(n)
}

/// `(eʳ, n)` with `eˣ = 2ⁿ eʳ`, `|r| ≤ ln 2 / 2`, by Taylor's series to the seventh power. Below
/// -87, where `2ⁿ` would not be a normal number, they are those of -87.
#[inline(always)]
fn powers(x: f32) -> (f32, i32) {
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
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2[0] - n * LN_2[1];
    let bits = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    (polynomial(&TAYLOR, r), bits as i32)
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// Numerator and denominator of `tanh(x) / x` in `x²`, lowest power first: the coefficients of the
/// library Eigen (`generic_fast_tanh_float`), for |x| < 7.9; beyond, tanh is ±1 in `f32`.
const TANH: ([f32; 7], [f32; 4]) = (
    [
        4.893_524_6e-3,
        6.372_619e-4,
        1.485_722_4e-5,
        5.122_297e-8,
        -8.604_672e-11,
        2.000_188e-13,
        -2.760_768_5e-16,
    ],
    [4.893_525e-3, 2.268_434_6e-3, 1.185_347_1e-4, 1.198_258_4e-6],
);

#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let z = x.clamp(-7.905_311, 7.905_311);
    z * polynomial(&TANH.0, z * z) / polynomial(&TANH.1, z * z)
}

#[inline(always)]
fn polynomial<const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// erf by its series, in `f64`. Terms cancel: their rounding is 1e-9 at 4, from where on 1 is
    /// as near.
    pub(crate) fn series(z: f64) -> f64 {
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
        for x in input {
            let (x, y) = (f64::from(x), gelu(x));
            let exact = 0.5 * x * (1.0 + series(x * std::f64::consts::FRAC_1_SQRT_2));
            assert!(
                (f64::from(y) - exact).abs() <= 4e-7 * x.abs(),
                "{x}: {y}, {exact}"
            );
        }
        assert!(gelu(f32::NAN).is_nan());
    }

    #[test]
    fn exp_and_tanh_are_exact() {
        for i in -4000..=4000 {
            let x = i as f32 / 40.0;
            let (found, exact) = (f64::from(exp(x)), f64::from(x).exp());
            match x {
                x if x > 88.7 => assert!(found > 3e38),
                x if x < -87.0 => assert!(found < 2e-38),
                // Seven terms of the series: 2e-7; the rounding of x log₂ e is 6e-8 |x|.
                _ => assert!((found / exact - 1.0).abs() < 4e-7, "{x}: {found}, {exact}"),
            }
            let x = x / 10.0;
            let (found, exact) = (f64::from(tanh(x)), f64::from(x).tanh());
            // A few units in the last place of sums of 7 and 4 terms.
            assert!(
                (found - exact).abs() <= 5e-7 * exact.abs(),
                "{x}: {found}, {exact}"
            );
        }
        assert!(exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
    }
}
