//! The batch-norm kernels against formulas in `f64`, on every instruction set that the CPU has.
//!
//! Bounds: sums are within half an `ε` of `Σ |term|` per addition that a number goes through, see [`sum_bound`].

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use zosam::kernels::{BatchNorm, GradientMask, Instructions, NormFactors, NormGradients};

const EPSILON: f64 = f32::EPSILON as f64;
/// The relative bound of a sum over planes of this size. In a block of 1024 numbers, or up to 2047 where planes are larger, a number
/// is added to those of its lane, of which there are at least 8; planes begin at the first lane. 3 additions join the lanes,
/// 5 roundings come before or after; sums of blocks are `f64`.
fn sum_bound(plane: usize) -> f64 {
    let additions = match plane {
        ..=1024 => 1024usize.div_ceil(plane) * (plane / 8 + 1),
        _ => 2048 / 8 + 2,
    };
    (additions + 8) as f64 * EPSILON / 2.0
}

/// Underflow, with room for what multiplies it.
const TINY: f64 = 1e-36;

/// A stream of numbers from a seed (splitmix64), so that a failing case shrinks by its shape and not by its data.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [-1, 1), never zero.
    fn number(&mut self) -> f32 {
        ((self.next() >> 41) as f32 - 4_194_303.5) / 4_194_304.0
    }

    fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.number()).collect()
    }
}

/// A batch with all that the passes read.
#[derive(Clone, Debug)]
struct Case {
    images: usize,
    channels: usize,
    plane: usize,
    relu: bool,
    batch_statistics: bool,
    epsilon: f64,
    input: Vec<f32>,
    residual: Option<Vec<f32>>,
    gradient: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

/// What the passes write.
#[derive(Clone, Debug, PartialEq)]
struct Results {
    mean: Vec<f32>,
    variance: Vec<f32>,
    output: Vec<f32>,
    input_gradient: Vec<f32>,
    residual_gradient: Vec<f32>,
    gamma_gradient: Vec<f32>,
    beta_gradient: Vec<f32>,
}

impl Results {
    fn bits(&self) -> Vec<u32> {
        let all = [
            &self.mean,
            &self.variance,
            &self.output,
            &self.input_gradient,
            &self.residual_gradient,
            &self.gamma_gradient,
            &self.beta_gradient,
        ];
        all.into_iter().flatten().map(|x| x.to_bits()).collect()
    }
}

impl Case {
    fn new([images, channels, plane]: [usize; 3], flags: [bool; 3], seed: u64) -> Self {
        let mut stream = Stream(seed);
        let numbers = images * channels * plane;
        let mut input = stream.numbers(numbers);
        // Each channel has its own size and place, far from zero in some.
        for channel in 0..channels {
            let scale = [1.0, 1e-3, 30.0][(stream.next() % 3) as usize];
            let place = [0.0, -1.0, 1e4][(stream.next() % 3) as usize];
            for image in 0..images {
                let start = (image * channels + channel) * plane;
                for x in &mut input[start..start + plane] {
                    *x = *x * scale + place;
                }
            }
        }
        Self {
            images,
            channels,
            plane,
            relu: flags[0],
            batch_statistics: flags[2],
            epsilon: 1e-5,
            input,
            residual: flags[1].then(|| stream.numbers(numbers)),
            gradient: stream.numbers(numbers),
            gamma: stream.numbers(channels),
            beta: stream.numbers(channels),
        }
    }

    fn factors<'a>(&'a self, mean: &'a [f32], variance: &'a [f32]) -> NormFactors<'a> {
        NormFactors {
            mean,
            variance,
            epsilon: self.epsilon,
            gamma: &self.gamma,
            beta: &self.beta,
        }
    }

    fn norm(&self, instructions: Instructions) -> BatchNorm {
        BatchNorm::with_instructions(self.channels, self.plane, instructions).unwrap()
    }

    fn run(&self, instructions: Instructions) -> Results {
        let norm = self.norm(instructions);
        let per_channel = || vec![f32::NAN; self.channels];
        let all = || vec![f32::NAN; self.input.len()];
        let (mut mean, mut variance, mut output) = (per_channel(), per_channel(), all());
        norm.statistics(&self.input, &mut mean, &mut variance)
            .unwrap();
        let factors = self.factors(&mean, &variance);
        let residual = self.residual.as_deref();
        norm.normalise(&self.input, factors, residual, self.relu, &mut output)
            .unwrap();
        let mask = match self.relu {
            true => GradientMask::Output(&output),
            false => GradientMask::None,
        };
        let mut results = Results {
            mean: mean.clone(),
            variance: variance.clone(),
            output: output.clone(),
            input_gradient: all(),
            residual_gradient: all(),
            gamma_gradient: per_channel(),
            beta_gradient: per_channel(),
        };
        self.gradients(instructions, factors, mask, &mut results);
        results
    }

    fn gradients(
        &self,
        instructions: Instructions,
        factors: NormFactors<'_>,
        mask: GradientMask<'_>,
        results: &mut Results,
    ) {
        let into = NormGradients {
            input: &mut results.input_gradient,
            residual: self
                .residual
                .is_some()
                .then_some(&mut results.residual_gradient),
            gamma: &mut results.gamma_gradient,
            beta: &mut results.beta_gradient,
        };
        let norm = self.norm(instructions);
        norm.gradients(
            &self.input,
            &self.gradient,
            factors,
            mask,
            self.batch_statistics,
            into,
        )
        .unwrap();
    }

    /// Indices of a channel's numbers.
    fn numbers_of(&self, channel: usize) -> impl Iterator<Item = usize> + Clone {
        let Self {
            channels, plane, ..
        } = *self;
        (0..self.images).flat_map(move |image| {
            let start = (image * channels + channel) * plane;
            start..start + plane
        })
    }

    /// Mean and variance of a channel.
    fn moments(&self, channel: usize) -> (f64, f64) {
        let numbers = self.numbers_of(channel).map(|at| f64::from(self.input[at]));
        let count = (self.images * self.plane) as f64;
        let mean = numbers.clone().sum::<f64>() / count;
        (
            mean,
            numbers.map(|x| (x - mean).powi(2)).sum::<f64>() / count,
        )
    }

    /// Compares everything with the formulas, each pass given what the pass before returned.
    fn check(&self, found: &Results) -> Result<(), TestCaseError> {
        let count = (self.images * self.plane) as f64;
        let sum_bound = sum_bound(self.plane);
        for channel in 0..self.channels {
            let (mean, variance) = self.moments(channel);
            let deviation = variance.sqrt();
            // Deviations are from a shift that is within √6 deviations of the mean on average, see the kernel.
            close(
                "mean",
                found.mean[channel],
                mean,
                EPSILON * mean.abs() + 3.5 * sum_bound * deviation,
            )?;
            let shift = (EPSILON * mean).powi(2);
            close(
                "variance",
                found.variance[channel],
                variance,
                7.0 * sum_bound * (variance + shift),
            )?;

            let mean = f64::from(found.mean[channel]);
            let inverse = 1.0 / (f64::from(found.variance[channel]) + self.epsilon).sqrt();
            let gamma = f64::from(self.gamma[channel]);
            let beta = f64::from(self.beta[channel]);
            let normal = |at: usize| (f64::from(self.input[at]) - mean) * inverse;
            for at in self.numbers_of(channel) {
                let residual = self.residual.as_ref().map_or(0.0, |r| f64::from(r[at]));
                let scaled = gamma * normal(at);
                let sum = scaled + beta + residual;
                let size = scaled.abs() + beta.abs() + residual.abs();
                let expected = if self.relu { sum.max(0.0) } else { sum };
                close("output", found.output[at], expected, 4.0 * EPSILON * size)?;
            }

            let masked = |at: usize| match self.relu && found.output[at] <= 0.0 {
                true => 0.0,
                false => f64::from(self.gradient[at]),
            };
            let numbers = self.numbers_of(channel);
            let shifts = numbers.clone().map(masked).sum::<f64>();
            let shift_error = sum_bound * numbers.clone().map(|at| masked(at).abs()).sum::<f64>();
            let scales = numbers
                .clone()
                .map(|at| masked(at) * normal(at))
                .sum::<f64>();
            let scale_error = sum_bound
                * numbers
                    .clone()
                    .map(|at| (masked(at) * normal(at)).abs())
                    .sum::<f64>();
            close(
                "beta gradient",
                found.beta_gradient[channel],
                shifts,
                shift_error,
            )?;
            close(
                "gamma gradient",
                found.gamma_gradient[channel],
                scales,
                scale_error,
            )?;
            for at in numbers {
                if self.residual.is_some() {
                    prop_assert_eq!(f64::from(found.residual_gradient[at]), masked(at));
                }
                let scale = gamma * inverse;
                let (expected, bound) = match self.batch_statistics {
                    false => (masked(at), 2.0 * EPSILON * masked(at).abs()),
                    true => (
                        masked(at) - shifts / count - normal(at) * scales / count,
                        4.0 * EPSILON
                            * (masked(at).abs()
                                + (shifts.abs() + normal(at).abs() * scales.abs()) / count)
                            + (shift_error + normal(at).abs() * scale_error) / count,
                    ),
                };
                close(
                    "input gradient",
                    found.input_gradient[at],
                    scale * expected,
                    scale.abs() * bound,
                )?;
            }
        }
        Ok(())
    }
}

fn close(what: &str, found: f32, expected: f64, bound: f64) -> Result<(), TestCaseError> {
    let error = (f64::from(found) - expected).abs();
    prop_assert!(
        error <= bound + TINY,
        "{what}: {found} is not {expected} ± {bound}"
    );
    Ok(())
}

fn available() -> impl Iterator<Item = Instructions> {
    Instructions::ALL
        .into_iter()
        .filter(|set| set.is_available())
}

/// Planes about every edge: a vector, the vectors summed side by side, a block.
fn shapes() -> impl Strategy<Value = [usize; 3]> {
    let plane = prop_oneof![
        4 => 1usize..=70,
        1 => 120usize..=140,
        1 => 1000usize..=1060,
        1 => 2040usize..=2080,
    ];
    let small = (1usize..=9, 1usize..=7, plane)
        .prop_map(|(images, channels, plane)| [images, channels, plane]);
    // Many images of small planes, so that blocks span images.
    let tall = (100usize..=300, 1usize..=4, 1usize..=20)
        .prop_map(|(images, channels, plane)| [images, channels, plane]);
    prop_oneof![5 => small, 1 => tall]
}

fn cases() -> impl Strategy<Value = Case> {
    (shapes(), prop::array::uniform3(any::<bool>()), any::<u64>())
        .prop_map(|(shape, flags, seed)| Case::new(shape, flags, seed))
}

fn cases_count(count: u32) -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 2 } else { count },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases_count(200))]

    #[test]
    fn passes_are_the_formulas(case in cases()) {
        for instructions in available() {
            case.check(&case.run(instructions))?;
        }
    }

    #[test]
    fn results_do_not_depend_on_the_threads(case in cases()) {
        let run = |threads| {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| case.run(Instructions::detect())).bits()
        };
        let one = run(1);
        for threads in [2, 3, 8] {
            prop_assert_eq!(&one, &run(threads));
        }
    }
}

/// Where a slice is not finite.
fn undefined(numbers: &[f32]) -> Vec<usize> {
    (0..numbers.len())
        .filter(|at| !numbers[*at].is_finite())
        .collect()
}

proptest! {
    #![proptest_config(cases_count(100))]

    /// Which outputs were positive is the same computed again, so gradients are the same to the bit.
    #[test]
    fn the_recomputed_mask_is_the_outputs(case in cases()) {
        let case = Case { relu: true, residual: None, ..case };
        for instructions in available() {
            let found = case.run(instructions);
            let mut again = found.clone();
            let factors = case.factors(&found.mean, &found.variance);
            case.gradients(instructions, factors, GradientMask::Recomputed, &mut again);
            prop_assert_eq!(found.bits(), again.bits());
        }
    }

    /// A number that is not finite makes its channel's statistics so, and touches no other channel.
    #[test]
    fn numbers_that_are_not_finite_stay_in_their_channel(case in cases(), seed in any::<u64>()) {
        let mut stream = Stream(seed);
        let at = stream.next() as usize % case.input.len();
        let channel = at / case.plane % case.channels;
        let mut bad = case.clone();
        bad.input[at] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][(stream.next() % 3) as usize];
        for instructions in available() {
            let (good, found) = (case.run(instructions), bad.run(instructions));
            prop_assert_eq!(undefined(&found.mean), vec![channel]);
            prop_assert_eq!(undefined(&found.variance), vec![channel]);
            let of_others = |numbers: &[f32]| {
                let others = (0..case.channels).filter(|other| *other != channel);
                let numbers = others.flat_map(|other| case.numbers_of(other)).map(|at| numbers[at].to_bits());
                numbers.collect::<Vec<_>>()
            };
            prop_assert_eq!(of_others(&good.output), of_others(&found.output));
            prop_assert_eq!(of_others(&good.input_gradient), of_others(&found.input_gradient));
            // With finite statistics only the number itself is undefined, also behind a ReLU.
            let mut output = vec![0.0; bad.input.len()];
            let factors = bad.factors(&good.mean, &good.variance);
            bad.norm(instructions).normalise(&bad.input, factors, None, false, &mut output).unwrap();
            prop_assert_eq!(undefined(&output), vec![at]);
        }
    }
}

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

/// The loss `Σ gradient · y`, in `f64`.
fn loss(
    case: &Case,
    [input, residual, gamma, beta]: [&[f64]; 4],
    fixed: &[(f64, f64)],
) -> (f64, f64) {
    let (mut loss, mut nearest) = (0.0, f64::INFINITY);
    for channel in 0..case.channels {
        let numbers = case.numbers_of(channel);
        let count = (case.images * case.plane) as f64;
        let (mean, variance) = match case.batch_statistics {
            false => fixed[channel],
            true => {
                let mean = numbers.clone().map(|at| input[at]).sum::<f64>() / count;
                (
                    mean,
                    numbers
                        .clone()
                        .map(|at| (input[at] - mean).powi(2))
                        .sum::<f64>()
                        / count,
                )
            }
        };
        for at in numbers {
            let normal = (input[at] - mean) / (variance + case.epsilon).sqrt();
            let y = gamma[channel] * normal + beta[channel] + residual[at];
            nearest = y.abs().min(nearest);
            loss += f64::from(case.gradient[at]) * if case.relu { y.max(0.0) } else { y };
        }
    }
    (loss, nearest)
}

/// Gradients are the central differences of the loss: rounding of `f32` is within 1e-5 of sums of some 30 terms of size 1.
#[test]
fn gradients_are_differences_of_the_loss() {
    const STEP: f64 = 1e-5;
    for (seed, flags) in (0..if cfg!(miri) { 1 } else { 8u64 })
        .flat_map(|seed| (0..8).map(move |bits| (seed, [0, 1, 2].map(|bit| bits >> bit & 1 == 1))))
    {
        let mut case = Case::new([3, 2, 5], flags, seed);
        case.input = Stream(seed).numbers(30);
        let found = case.run(Instructions::detect());
        let fixed: Vec<_> = found
            .mean
            .iter()
            .zip(&found.variance)
            .map(|(m, v)| (f64::from(*m), f64::from(*v)))
            .collect();
        let widen = |numbers: &[f32]| numbers.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
        let residual = case.residual.clone().unwrap_or(vec![0.0; 30]);
        let arguments =
            [&case.input, &residual, &case.gamma, &case.beta].map(|numbers| widen(numbers));
        if case.relu && loss(&case, arguments.each_ref().map(|a| &a[..]), &fixed).1 < 10.0 * STEP {
            continue; // a difference would step over the kink
        }
        let gradients = [
            &found.input_gradient,
            &found.residual_gradient,
            &found.gamma_gradient,
            &found.beta_gradient,
        ];
        for (argument, gradient) in gradients.into_iter().enumerate() {
            if argument == 1 && case.residual.is_none() {
                continue;
            }
            for (at, gradient) in gradient.iter().enumerate() {
                let [up, down] = [STEP, -STEP].map(|step| {
                    let mut moved = arguments.clone();
                    moved[argument][at] += step;
                    loss(&case, moved.each_ref().map(|a| &a[..]), &fixed).0
                });
                let difference = (up - down) / (2.0 * STEP);
                let error = (f64::from(*gradient) - difference).abs();
                assert!(
                    error < 1e-5 * (1.0 + difference.abs()),
                    "{argument} {at}: {gradient} is not {difference}"
                );
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
        case.input = Stream(1).numbers(4200);
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
