//! Law 3: the random gradient estimate against theory.

use burn::module::{Module, Param};
use burn::optim::SgdConfig;
use burn::tensor::Tensor;
use zosam::perturb::{Delta, Sides};
use zosam::tree::{self, DirectionDistribution, DirectionKey};
use zosam::{Sparsity, ZoSamConfig};

use super::setup::device;

#[derive(Module, Debug)]
struct Plane {
    slope: Tensor<1>,
    weight: Param<Tensor<1>>,
}

impl Plane {
    fn new(dimension: usize) -> Self {
        let slope: Vec<f32> = (0..dimension)
            .map(|i| (i as f32 * 0.7).sin() + 0.2)
            .collect();
        Self {
            slope: Tensor::from_floats(slope.as_slice(), &device()),
            weight: Param::from_tensor(Tensor::zeros([dimension], &device())),
        }
    }

    fn slope(&self) -> Vec<f64> {
        self.slope.to_data().iter::<f64>().collect()
    }
}

fn draw(plane: &Plane, step: u64, distribution: DirectionDistribution) -> Vec<f64> {
    let key = DirectionKey {
        seed: 11,
        step,
        index: 0,
    };
    let direction = tree::draw(&tree::leaves(plane), key, distribution, &device());
    let (_, component) = direction.iter().next().unwrap();
    component.to_data().iter::<f64>().collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// On a linear loss a draw's estimate is `(gᵀu) u`: its mean is g, its mean squared error `(d + 1)/m ‖g‖²`
/// for Gaussian and `(d − 1)/m ‖g‖²` for Rademacher directions.
#[test]
fn mean_and_error_are_those_of_theory() {
    let d = 40;
    let plane = Plane::new(d);
    let slope = plane.slope();
    let norm2 = dot(&slope, &slope);
    let draws = 20_000;
    for (distribution, expected) in [
        (DirectionDistribution::Gaussian, (d + 1) as f64),
        (DirectionDistribution::Rademacher, (d - 1) as f64),
    ] {
        let mut mean = vec![0.0; d];
        let mut error = 0.0;
        for step in 0..draws {
            let u = draw(&plane, step, distribution);
            let along = dot(&slope, &u);
            let estimate: Vec<f64> = u.iter().map(|u| along * u).collect();
            for ((mean, estimate), slope) in mean.iter_mut().zip(&estimate).zip(&slope) {
                *mean += estimate / draws as f64;
                error += (estimate - slope).powi(2) / draws as f64;
            }
        }
        let bias: Vec<f64> = mean.iter().zip(&slope).map(|(m, s)| m - s).collect();
        // The mean of n draws has a squared error of MSE/n; four times that is a generous bound.
        let bound = 4.0 * expected * norm2 / draws as f64;
        assert!(dot(&bias, &bias) < bound, "{distribution:?}");
        // Relative standard error of the MSE itself is about 1 % at this number of draws.
        let ratio = error / norm2 / expected;
        assert!((ratio - 1.0).abs() < 0.05, "{distribution:?}: {ratio}");
    }
}

/// `|cos(ε, g)|` is about `√(m/(m + d + 1))`, through the real step on a linear loss.
#[test]
fn alignment_grows_with_the_number_of_directions() {
    let d = 200;
    let slope = Plane::new(d).slope();
    for (m, sides) in [(4, Sides::Two), (16, Sides::One), (64, Sides::Two)] {
        let config = ZoSamConfig::new()
            .with_directions(m)
            .with_sides(sides)
            .with_delta(Delta::Absolute(1e-2));
        let mut optim = config.init(SgdConfig::new().build()).unwrap();
        let mut mean = 0.0;
        let steps = 40;
        for _ in 0..steps {
            let loss = |plane: &Plane| (plane.weight.val() * plane.slope.clone()).sum();
            let result = optim.step_with(0.0, Plane::new(d), &mut Sparsity::dense(), loss);
            let offset = result.unwrap().1.offset.unwrap().vector();
            let epsilon: Vec<f64> = offset
                .iter()
                .next()
                .unwrap()
                .1
                .to_data()
                .iter::<f64>()
                .collect();
            let norms = (dot(&epsilon, &epsilon) * dot(&slope, &slope)).sqrt();
            mean += dot(&epsilon, &slope) / norms / steps as f64;
        }
        let expected = (m as f64 / (m + d + 1) as f64).sqrt();
        assert!(
            (mean / expected - 1.0).abs() < 0.1,
            "m = {m}: {mean} against {expected}"
        );
    }
}

/// Directions have the moments of their distribution, on the device path as on the host's.
#[test]
fn directions_are_standardised() {
    let plane = Plane::new(100_001);
    for distribution in [
        DirectionDistribution::Gaussian,
        DirectionDistribution::Rademacher,
    ] {
        let u = draw(&plane, 0, distribution);
        let n = u.len() as f64;
        let mean = u.iter().sum::<f64>() / n;
        let variance = dot(&u, &u) / n - mean * mean;
        let fourth = u.iter().map(|u| u.powi(4)).sum::<f64>() / n;
        let kurtosis = if distribution == DirectionDistribution::Gaussian {
            3.0
        } else {
            1.0
        };
        assert!(
            mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02,
            "{mean} {variance}"
        );
        assert!((fourth - kurtosis).abs() < 0.1, "{fourth}");
        let next = draw(&plane, 1, distribution);
        assert!(
            dot(&u, &next).abs() / n < 0.02,
            "different keys are uncorrelated"
        );
        assert_eq!(u, draw(&plane, 0, distribution));
    }
}
