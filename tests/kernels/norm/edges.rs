//! Single numbers, single sums, and sizes.

use zosam::kernels::{BatchNorm, GradientMask, Instructions, NormFactors, NormGradients};

use super::case::Case;
use super::formulas::sum_bound;
use crate::available;
use crate::stream::Stream;

/// ReLU and its mask, number by number: what burn does with NaN and with zeros of either sign.
#[test]
fn relu_keeps_nan_and_positive_numbers() {
    let inputs = [
        f32::NAN,
        1.0,
        f32::INFINITY,
        0.0,
        -0.0,
        -1.0,
        f32::NEG_INFINITY,
        1e-40,
        -1e-40,
    ];
    let expected = [f32::NAN, 1.0, f32::INFINITY, 0.0, 0.0, 0.0, 0.0, 1e-40, 0.0];
    // From one number to all, so that each meets whole vectors and parts.
    for count in 1..=40 {
        let input: Vec<f32> = (0..count).map(|at| inputs[at % 9]).collect();
        for instructions in available() {
            let norm = BatchNorm::with_instructions(1, count, instructions).unwrap();
            let factors = NormFactors {
                mean: &[0.0],
                variance: &[1.0],
                epsilon: 0.0,
                gamma: &[1.0],
                beta: &[-0.0],
            };
            let mut output = vec![7.0; count];
            norm.normalise(&input, factors, None, true, &mut output)
                .unwrap();
            let dead_is_nan: Vec<f32> = (0..count)
                .map(|at| {
                    if expected[at % 9] == 0.0 {
                        f32::NAN
                    } else {
                        3.0
                    }
                })
                .collect();
            let (mut gradient, mut residual) = (vec![7.0; count], vec![7.0; count]);
            let into = NormGradients {
                input: &mut gradient,
                residual: Some(&mut residual),
                gamma: &mut [0.0],
                beta: &mut [0.0],
            };
            let mask = GradientMask::Output(&output);
            norm.gradients(&input, &dead_is_nan, factors, mask, false, into)
                .unwrap();
            for at in 0..count {
                let (found, expected) = (output[at], expected[at % 9]);
                assert!(
                    found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan()
                );
                let passes = if expected == 0.0 { 0.0f32 } else { 3.0 };
                assert_eq!(residual[at].to_bits(), passes.to_bits());
                assert_eq!(gradient[at].to_bits(), passes.to_bits());
            }
        }
    }
}

/// `1, 2, …, n` far from zero: mean and variance have closed forms, exact in `f32` input.
#[test]
fn statistics_of_a_ramp_far_from_zero() {
    for instructions in available() {
        let (images, plane) = (3, 1003);
        let count = (images * plane) as f64;
        let input: Vec<f32> = (1..=images * plane)
            .map(|i| 8_388_608.0 + i as f32)
            .collect();
        let norm = BatchNorm::with_instructions(1, plane, instructions).unwrap();
        let (mut mean, mut variance) = ([0.0], [0.0]);
        norm.statistics(&input, &mut mean, &mut variance).unwrap();
        assert_eq!(f64::from(mean[0]), 8_388_608.0 + (count + 1.0) / 2.0);
        let expected = (count * count - 1.0) / 12.0;
        assert!((f64::from(variance[0]) / expected - 1.0).abs() < 7.0 * sum_bound(plane));
    }
}

/// A first number far off all others must not spoil what follows.
#[test]
fn statistics_with_an_outlier_first() {
    for instructions in available() {
        let mut case = Case::new([600, 1, 7], [false; 3], 1);
        case.input = Stream::new(1).numbers(4200);
        case.input[0] = 1e6;
        case.check(&case.run(instructions)).unwrap();
        let constant = BatchNorm::with_instructions(1, 1, instructions).unwrap();
        let (mut mean, mut variance) = ([0.0], [1.0]);
        constant
            .statistics(&[0.1; 5000], &mut mean, &mut variance)
            .unwrap();
        assert_eq!((mean, variance), ([0.1], [0.0]));
    }
}

#[test]
fn sizes_at_the_ends() {
    for (channels, plane) in [(0, 1), (1, 0), (usize::MAX, 2), (1 << 40, 1 << 40)] {
        assert!(BatchNorm::new(channels, plane).is_err());
    }
    for instructions in Instructions::ALL {
        let built = BatchNorm::with_instructions(1, 1, instructions);
        assert_eq!(built.is_ok(), instructions.is_available());
    }
    let norm = BatchNorm::new(2, 3).unwrap();
    let none = norm
        .statistics(&[], &mut [0.0; 2], &mut [0.0; 2])
        .unwrap_err();
    assert_eq!(
        none.to_string(),
        "the input has 0 numbers: it must have at least one image, to have a mean"
    );
    let factors = NormFactors {
        mean: &[0.0; 2],
        variance: &[1.0; 2],
        epsilon: 1e-5,
        gamma: &[1.0; 2],
        beta: &[0.0; 2],
    };
    norm.normalise(&[], factors, None, true, &mut []).unwrap();
    let (mut gamma, mut beta) = ([1.0; 2], [1.0; 2]);
    let into = NormGradients {
        input: &mut [],
        residual: None,
        gamma: &mut gamma,
        beta: &mut beta,
    };
    norm.gradients(&[], &[], factors, GradientMask::None, true, into)
        .unwrap();
    assert_eq!((gamma, beta), ([0.0; 2], [0.0; 2]));
}

#[test]
fn slices_of_the_wrong_length_are_errors() {
    let norm = BatchNorm::new(2, 3).unwrap();
    let all = [0.0; 12];
    let message = norm
        .statistics(&all[1..], &mut [0.0; 2], &mut [0.0; 2])
        .unwrap_err();
    assert_eq!(
        message.to_string(),
        "the input has 11 numbers: it must have a multiple of 6"
    );
    assert!(norm.statistics(&all, &mut [0.0; 1], &mut [0.0; 2]).is_err());
    assert!(norm.statistics(&all, &mut [0.0; 2], &mut [0.0; 3]).is_err());
    let right = [12, 2, 2, 2, 2, 12, 12, 12, 12, 12, 2, 2];
    for wrong in 0..=right.len() {
        let mut lengths = right;
        if let Some(length) = lengths.get_mut(wrong) {
            *length -= 1;
        }
        let slice = |index: usize| &all[..lengths[index]];
        let [mean, variance, gamma, beta] = [1, 2, 3, 4].map(slice);
        let factors = NormFactors {
            mean,
            variance,
            epsilon: 1e-5,
            gamma,
            beta,
        };
        let mut outputs = [[0.0; 12]; 4];
        let [input, residual, gamma, beta] = &mut outputs;
        let forward = norm.normalise(
            slice(0),
            factors,
            Some(slice(5)),
            true,
            &mut input[..lengths[8]],
        );
        assert_eq!(
            forward.is_err(),
            [0, 1, 2, 3, 4, 5, 8].contains(&wrong),
            "{wrong}"
        );
        let into = NormGradients {
            input: &mut input[..lengths[8]],
            residual: Some(&mut residual[..lengths[9]]),
            gamma: &mut gamma[..lengths[10]],
            beta: &mut beta[..lengths[11]],
        };
        let mask = GradientMask::Output(slice(6));
        let backward = norm.gradients(slice(0), slice(7), factors, mask, true, into);
        assert_eq!(
            backward.is_err(),
            wrong < right.len() && wrong != 5,
            "{wrong}"
        );
    }
}
