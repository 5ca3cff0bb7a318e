//! Gradients against differences of the loss.

use zosam::kernels::Instructions;

use super::case::Case;
use crate::stream::Stream;

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
        case.input = Stream::new(seed).numbers(30);
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
