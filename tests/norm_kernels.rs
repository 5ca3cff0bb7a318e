//! The batch-norm kernels against formulas in `f64`, on every instruction set that the CPU has.
//!
//! Bounds: a number goes through at most 64 additions in its lane, 6 to join the lanes, and 3 roundings before; sums of
//! blocks are `f64`. So a sum is within `73 ε Σ |term|`.

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use zosam::kernels::{BatchNorm, GradientMask, Instructions, NormFactors, NormGradients};

const EPSILON: f64 = f32::EPSILON as f64;
const SUM: f64 = 73.0 * EPSILON;
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
        for channel in 0..self.channels {
            let (mean, variance) = self.moments(channel);
            let deviation = variance.sqrt();
            // Deviations are from a shift that is within √6 deviations of the mean on average, see the kernel.
            close(
                "mean",
                found.mean[channel],
                mean,
                EPSILON * mean.abs() + 3.5 * SUM * deviation,
            )?;
            let shift = (EPSILON * mean).powi(2);
            close(
                "variance",
                found.variance[channel],
                variance,
                7.0 * SUM * (variance + shift),
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
            let shift_error = SUM * numbers.clone().map(|at| masked(at).abs()).sum::<f64>();
            let scales = numbers
                .clone()
                .map(|at| masked(at) * normal(at))
                .sum::<f64>();
            let scale_error = SUM
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
