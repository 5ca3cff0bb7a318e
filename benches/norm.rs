//! What the batch-norm kernels take, beside a plain copy and beside one loop per operation.
//!
//! ```text
//! RAYON_NUM_THREADS=1 cargo bench --bench norm
//! ```
//!
//! All take turns; medians of 31 rounds, each the fastest of three calls. GB/s count each array once that a pass must read or
//! write, so they compare with the copy's, which counts both of its. A second read, from a cache or not, is not counted.

use std::time::Instant;

use zosam::kernels::{BatchNorm, GradientMask, NormFactors, NormGradients};

const SHAPES: [[usize; 3]; 6] = [
    [64, 32, 1024],
    [64, 64, 256],
    [64, 128, 64],
    [128, 32, 1024],
    [128, 16, 1024],
    [64, 512, 49],
];
const ROUNDS: usize = 31;

fn main() {
    println!("{} threads; ms (GB/s)", rayon::current_num_threads());
    for shape in SHAPES {
        let mut run = Run::new(shape);
        println!("images × channels × plane = {shape:?}");
        let mut times = vec![[0.0; ROUNDS]; PASSES.len()];
        for round in 0..ROUNDS {
            for (pass, times) in PASSES.iter().zip(&mut times) {
                let calls = (0..3).map(|_| {
                    let start = Instant::now();
                    (pass.call)(&mut run);
                    start.elapsed().as_secs_f64()
                });
                times[round] = calls.fold(f64::INFINITY, f64::min);
            }
        }
        for (pass, times) in PASSES.iter().zip(&mut times) {
            times.sort_by(f64::total_cmp);
            let seconds = times[ROUNDS / 2];
            let bytes = (4 * pass.arrays * run.input.len()) as f64;
            println!(
                "  {:44} {:7.3} ({:5.1})",
                pass.name,
                seconds * 1e3,
                bytes / seconds / 1e9
            );
        }
    }
}

/// A batch and what is made of it.
struct Run {
    norm: BatchNorm,
    shape: [usize; 3],
    input: Vec<f32>,
    residual: Vec<f32>,
    gradient: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    output: Vec<f32>,
    input_gradient: Vec<f32>,
    residual_gradient: Vec<f32>,
    gamma_gradient: Vec<f32>,
    beta_gradient: Vec<f32>,
}

/// A timed pass over so many arrays of the size of the batch.
struct Pass {
    name: &'static str,
    arrays: usize,
    call: fn(&mut Run),
}

const PASSES: [Pass; 9] = [
    Pass {
        name: "copy",
        arrays: 2,
        call: |run| run.output.copy_from_slice(&run.input),
    },
    Pass {
        name: "statistics",
        arrays: 1,
        call: |run| {
            let Run {
                norm,
                input,
                mean,
                variance,
                ..
            } = run;
            norm.statistics(input, mean, variance).expect("sizes fit");
        },
    },
    Pass {
        name: "normalise, ReLU",
        arrays: 2,
        call: |run| run.normalise(false),
    },
    Pass {
        name: "normalise, residual, ReLU",
        arrays: 3,
        call: |run| run.normalise(true),
    },
    Pass {
        name: "gradients, fixed statistics, ReLU",
        arrays: 3,
        call: |run| run.gradients(false, false),
    },
    Pass {
        name: "gradients, ReLU",
        arrays: 3,
        call: |run| run.gradients(false, true),
    },
    Pass {
        name: "gradients, residual, ReLU",
        arrays: 5,
        call: |run| run.gradients(true, true),
    },
    Pass {
        name: "a loop per operation: forward, residual, ReLU",
        arrays: 3,
        call: Run::forward_by_loops,
    },
    Pass {
        name: "a loop per operation: gradients of those",
        arrays: 5,
        call: Run::gradients_by_loops,
    },
];

impl Run {
    fn new(shape: [usize; 3]) -> Self {
        let [images, channels, plane] = shape;
        let count = images * channels * plane;
        Self {
            norm: BatchNorm::new(channels, plane).expect("valid"),
            shape,
            input: numbers(count, 37),
            residual: numbers(count, 41),
            gradient: numbers(count, 43),
            gamma: numbers(channels, 3),
            beta: numbers(channels, 5),
            mean: vec![0.0; channels],
            variance: vec![0.0; channels],
            output: vec![0.0; count],
            input_gradient: vec![0.0; count],
            residual_gradient: vec![0.0; count],
            gamma_gradient: vec![0.0; channels],
            beta_gradient: vec![0.0; channels],
        }
    }

    fn normalise(&mut self, residual: bool) {
        let factors = NormFactors {
            mean: &self.mean,
            variance: &self.variance,
            epsilon: 1e-5,
            gamma: &self.gamma,
            beta: &self.beta,
        };
        let residual = residual.then_some(&self.residual[..]);
        self.norm
            .normalise(&self.input, factors, residual, true, &mut self.output)
            .expect("sizes fit");
    }

    fn gradients(&mut self, residual: bool, batch_statistics: bool) {
        let factors = NormFactors {
            mean: &self.mean,
            variance: &self.variance,
            epsilon: 1e-5,
            gamma: &self.gamma,
            beta: &self.beta,
        };
        let mask = match residual {
            true => GradientMask::Output(&self.output),
            false => GradientMask::Recomputed,
        };
        let into = NormGradients {
            input: &mut self.input_gradient,
            residual: residual.then_some(&mut self.residual_gradient),
            gamma: &mut self.gamma_gradient,
            beta: &mut self.beta_gradient,
        };
        let gradient = &self.gradient;
        self.norm
            .gradients(&self.input, gradient, factors, mask, batch_statistics, into)
            .expect("sizes fit");
    }

    /// Mean, deviations, squares, normalisation, residual, ReLU: a loop each, all into arrays that exist.
    fn forward_by_loops(&mut self) {
        let [images, channels, plane] = self.shape;
        let count = (images * plane) as f32;
        self.mean.fill(0.0);
        self.variance.fill(0.0);
        for (at, x) in self.input.chunks(plane).enumerate() {
            self.mean[at % channels] += sum(x, |x| x) / count;
        }
        let planes = self.output.chunks_mut(plane).zip(self.input.chunks(plane));
        for (at, (d, x)) in planes.enumerate() {
            let mean = self.mean[at % channels];
            d.iter_mut().zip(x).for_each(|(d, x)| *d = x - mean);
        }
        for (at, d) in self.output.chunks(plane).enumerate() {
            self.variance[at % channels] += sum(d, |d| d * d) / count;
        }
        for (at, y) in self.output.chunks_mut(plane).enumerate() {
            let channel = at % channels;
            let scale = self.gamma[channel] / (self.variance[channel] + 1e-5).sqrt();
            let shift = self.beta[channel];
            y.iter_mut().for_each(|y| *y = *y * scale + shift);
        }
        self.output
            .iter_mut()
            .zip(&self.residual)
            .for_each(|(y, r)| *y += r);
        self.output
            .iter_mut()
            .for_each(|y| *y = if *y <= 0.0 { 0.0 } else { *y });
    }

    /// Mask, normalised input, their two sums, gradient of the input: a loop each, all into arrays that exist.
    fn gradients_by_loops(&mut self) {
        let [images, channels, plane] = self.shape;
        let count = (images * plane) as f32;
        let masked = self
            .residual_gradient
            .iter_mut()
            .zip(&self.output)
            .zip(&self.gradient);
        masked.for_each(|((g, y), from)| *g = if *y <= 0.0 { 0.0 } else { *from });
        let planes = self
            .input_gradient
            .chunks_mut(plane)
            .zip(self.input.chunks(plane));
        for (at, (normal, x)) in planes.enumerate() {
            let mean = self.mean[at % channels];
            let inverse = 1.0 / (self.variance[at % channels] + 1e-5).sqrt();
            normal
                .iter_mut()
                .zip(x)
                .for_each(|(n, x)| *n = (x - mean) * inverse);
        }
        self.beta_gradient.fill(0.0);
        self.gamma_gradient.fill(0.0);
        for (at, g) in self.residual_gradient.chunks(plane).enumerate() {
            self.beta_gradient[at % channels] += sum(g, |g| g);
        }
        let planes = self
            .residual_gradient
            .chunks(plane)
            .zip(self.input_gradient.chunks(plane));
        for (at, (g, normal)) in planes.enumerate() {
            let mut lanes = [0.0; 16];
            for (g, normal) in g.chunks(16).zip(normal.chunks(16)) {
                lanes
                    .iter_mut()
                    .zip(g)
                    .zip(normal)
                    .for_each(|((lane, g), n)| *lane += g * n);
            }
            self.gamma_gradient[at % channels] += lanes.iter().sum::<f32>();
        }
        let planes = self
            .input_gradient
            .chunks_mut(plane)
            .zip(self.residual_gradient.chunks(plane));
        for (at, (normal, g)) in planes.enumerate() {
            let channel = at % channels;
            let scale = self.gamma[channel] / (self.variance[channel] + 1e-5).sqrt();
            let beta = self.beta_gradient[channel] / count;
            let gamma = self.gamma_gradient[channel] / count;
            normal
                .iter_mut()
                .zip(g)
                .for_each(|(n, g)| *n = scale * (g - beta - *n * gamma));
        }
    }
}

/// In 16 lanes, which the compiler makes vectors of.
fn sum(numbers: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; 16];
    for chunk in numbers.chunks(16) {
        lanes
            .iter_mut()
            .zip(chunk)
            .for_each(|(lane, x)| *lane += term(*x));
    }
    lanes.iter().sum()
}

fn numbers(count: usize, factor: usize) -> Vec<f32> {
    (0..count)
        .map(|index| (index * factor % 101) as f32 / 50.0 - 1.0)
        .collect()
}
