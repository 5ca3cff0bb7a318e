//! A batch, and what the passes make of it.

use zosam::kernels::{BatchNorm, GradientMask, Instructions, NormFactors, NormGradients};

use crate::stream::Stream;

/// A batch with all that the passes read.
#[derive(Clone, Debug)]
pub struct Case {
    pub images: usize,
    pub channels: usize,
    pub plane: usize,
    pub relu: bool,
    pub batch_statistics: bool,
    pub epsilon: f64,
    pub input: Vec<f32>,
    pub residual: Option<Vec<f32>>,
    pub gradient: Vec<f32>,
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

/// What the passes write.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
    pub output: Vec<f32>,
    pub input_gradient: Vec<f32>,
    pub residual_gradient: Vec<f32>,
    pub gamma_gradient: Vec<f32>,
    pub beta_gradient: Vec<f32>,
}

impl Results {
    pub fn bits(&self) -> Vec<u32> {
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
    pub fn new([images, channels, plane]: [usize; 3], flags: [bool; 3], seed: u64) -> Self {
        let mut stream = Stream::new(seed);
        let numbers = images * channels * plane;
        let mut input = stream.numbers(numbers);
        // Each channel has its own size and place, far from zero in some.
        for channel in 0..channels {
            let scale = [1.0, 1e-3, 30.0][(stream.word() % 3) as usize];
            let place = [0.0, -1.0, 1e4][(stream.word() % 3) as usize];
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

    pub fn factors<'a>(&'a self, mean: &'a [f32], variance: &'a [f32]) -> NormFactors<'a> {
        NormFactors {
            mean,
            variance,
            epsilon: self.epsilon,
            gamma: &self.gamma,
            beta: &self.beta,
        }
    }

    pub fn norm(&self, instructions: Instructions) -> BatchNorm {
        BatchNorm::with_instructions(self.channels, self.plane, instructions).unwrap()
    }

    pub fn run(&self, instructions: Instructions) -> Results {
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

    pub fn gradients(
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
    pub fn numbers_of(&self, channel: usize) -> impl Iterator<Item = usize> + Clone {
        let Self {
            channels, plane, ..
        } = *self;
        (0..self.images).flat_map(move |image| {
            let start = (image * channels + channel) * plane;
            start..start + plane
        })
    }
}
