//! Layer norm of a training step, and its gradients: each two passes over a row while it is in the first cache.

use rayon::prelude::*;

use super::scratch::fewest;
use super::shape::length;
use super::simd::{Instructions, Job, Simd};
use super::standardise::{self, LANES, Statistics, moments};
use crate::error::Result;

/// Rows of a task: as many whatever the number of threads, so that sums over rows have one order.
const ROWS: usize = 32;
/// What a number takes in multiply-adds, roughly.
const WORK: usize = 8;

/// `γ (x − μ) / √(σ² + ε) + β` for rows of `gamma.len()` numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerNorm<'a> {
    pub(crate) epsilon: f32,
    pub(crate) gamma: &'a [f32],
    pub(crate) beta: &'a [f32],
}

impl LayerNorm<'_> {
    /// # Errors
    /// Slices that are not whole rows, or of two lengths.
    pub(crate) fn forward(&self, from: &[f32], to: &mut [f32]) -> Result<()> {
        let part = self.part(from.len())?;
        length("beta", self.beta.len(), self.gamma.len())?;
        length("the output", to.len(), from.len())?;
        to.par_chunks_mut(part)
            .zip(from.par_chunks(part))
            .with_min_len(fewest(WORK * part))
            .for_each(|(to, from)| {
                standardise::rows(self.statistics(), self.gamma, self.beta, from, to);
            });
        Ok(())
    }

    /// The gradient of the input into `to`; those of `γ` and `β` are returned.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    pub(crate) fn gradients(
        &self,
        from: &[f32],
        output: &[f32],
        to: &mut [f32],
    ) -> Result<[Vec<f32>; 2]> {
        let part = self.part(from.len())?;
        length("the output's gradient", output.len(), from.len())?;
        length("the gradient", to.len(), from.len())?;
        let parts = to.par_chunks_mut(part).zip(from.par_chunks(part));
        let sums: Vec<[Vec<f32>; 2]> = parts
            .zip(output.par_chunks(part))
            .with_min_len(fewest(WORK * part))
            .map(|((to, from), output)| {
                let mut sums = [(); 2].map(|()| vec![0.0; self.gamma.len()]);
                Instructions::detect().run(Gradients {
                    statistics: self.statistics(),
                    gamma: self.gamma,
                    rows: [from, output],
                    to,
                    sums: &mut sums,
                });
                sums
            })
            .collect();
        let mut totals = [(); 2].map(|()| vec![0.0; self.gamma.len()]);
        for sums in &sums {
            for (total, sum) in totals.iter_mut().zip(sums) {
                let pairs = total.iter_mut().zip(sum);
                pairs.for_each(|(total, sum)| *total += sum);
            }
        }
        Ok(totals)
    }

    /// Numbers of a task.
    fn part(&self, numbers: usize) -> Result<usize> {
        let count = self.gamma.len().max(1);
        length("the rows", numbers, numbers.next_multiple_of(count))?;
        Ok(ROWS * count)
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            epsilon: self.epsilon,
            centred: true,
        }
    }
}

struct Gradients<'a> {
    statistics: Statistics,
    gamma: &'a [f32],
    /// Inputs and the outputs' gradients.
    rows: [&'a [f32]; 2],
    to: &'a mut [f32],
    /// Of `γ` and `β`.
    sums: &'a mut [Vec<f32>; 2],
}

impl Job for Gradients<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    ///
    /// With `x̂ = (x − μ) / s` and `h = g γ`: `∂L/∂x = (h − mean(h) − x̂ mean(h x̂)) / s`.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let count = self.gamma.len().max(1);
        let [gammas, betas] = self.sums;
        let rows = self.rows.map(|rows| rows.chunks_exact(count));
        let [from, output] = rows;
        for ((to, from), output) in self.to.chunks_exact_mut(count).zip(from).zip(output) {
            let (mean, factor) = moments(self.statistics, from);
            let mut sums = [[0.0; LANES]; 2];
            let [plain, scaled] = &mut sums;
            let parts = from.chunks(LANES).zip(output.chunks(LANES));
            for ((from, output), gamma) in parts.zip(self.gamma.chunks(LANES)) {
                let numbers = from.iter().zip(output).zip(gamma);
                for (((x, g), gamma), (plain, scaled)) in
                    numbers.zip(plain.iter_mut().zip(&mut *scaled))
                {
                    *plain += g * gamma;
                    *scaled += g * gamma * ((x - mean) * factor);
                }
            }
            let [plain, scaled] = sums.map(|lanes| lanes.iter().sum::<f32>() / count as f32);
            let totals = gammas.iter_mut().zip(betas.iter_mut());
            let numbers = from.iter().zip(output).zip(self.gamma);
            for ((to, ((x, g), gamma)), (of_gamma, of_beta)) in
                to.iter_mut().zip(numbers).zip(totals)
            {
                let normal = (x - mean) * factor;
                *to = factor * (g * gamma - plain - normal * scaled);
                *of_gamma += g * normal;
                *of_beta += g;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formulas in `f64`, over rows that do not fill a task and rows of several, of lengths that do
    /// not fill vectors.
    #[test]
    fn outputs_and_gradients_are_the_formulas() {
        for [rows, count] in [[1, 1], [3, 40], [70, 7], [33, 65]] {
            let number = |i: usize| ((i * i * 7919) % 1009) as f32 / 500.0 - 0.3;
            let draw = |first: usize, count| (first..first + count).map(number).collect();
            let (from, output): (Vec<f32>, Vec<f32>) =
                (draw(0, rows * count), draw(11, rows * count));
            let (gamma, beta): (Vec<f32>, Vec<f32>) = (draw(7, count), draw(70, count));
            let norm = LayerNorm {
                epsilon: 1e-5,
                gamma: &gamma,
                beta: &beta,
            };
            let [mut to, mut gradient] = [(); 2].map(|()| vec![f32::NAN; from.len()]);
            norm.forward(&from, &mut to).unwrap();
            let sums = norm.gradients(&from, &output, &mut gradient).unwrap();
            let mut exact_sums = [(); 2].map(|()| vec![0.0; count]);
            for row in 0..rows {
                let row = row * count..(row + 1) * count;
                let [x, g, gamma] = [&from[row.clone()], &output[row.clone()], &gamma]
                    .map(|row| row.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>());
                let mean =
                    |of: &dyn Fn(usize) -> f64| (0..count).map(of).sum::<f64>() / count as f64;
                let middle = mean(&|i| x[i]);
                let deviation = (mean(&|i| (x[i] - middle).powi(2)) + 1e-5).sqrt();
                let normal = |i: usize| (x[i] - middle) / deviation;
                let plain = mean(&|i| g[i] * gamma[i]);
                let scaled = mean(&|i| g[i] * gamma[i] * normal(i));
                for i in 0..count {
                    let exact = normal(i) * gamma[i] + f64::from(beta[i]);
                    let found = f64::from(to[row.start + i]);
                    // Some hundred roundings of numbers around 1.
                    assert!((found - exact).abs() < 1e-5 * (1.0 + exact.abs()));
                    let exact = (g[i] * gamma[i] - plain - normal(i) * scaled) / deviation;
                    let found = f64::from(gradient[row.start + i]);
                    // As many, divided by the deviation.
                    let bound = 1e-5 * (1.0 + exact.abs()) * (1.0 + 1.0 / deviation);
                    assert!((found - exact).abs() < bound, "{found}, {exact}");
                    exact_sums[0][i] += g[i] * normal(i);
                    exact_sums[1][i] += g[i];
                }
            }
            for (found, exact) in sums.iter().flatten().zip(exact_sums.iter().flatten()) {
                // Sums of up to 70 such numbers.
                assert!((f64::from(*found) - exact).abs() < 1e-4 * (1.0 + exact.abs()));
            }
            norm.forward(&from, &mut to[1..]).unwrap_err();
            norm.gradients(&from, &output[1..], &mut gradient)
                .unwrap_err();
            if count > 1 {
                let short = [0.0; 1];
                norm.forward(&short, &mut [0.0]).unwrap_err();
            }
        }
    }
}
