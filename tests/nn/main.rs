//! The layers of `zosam::nn`: burn's results, records and running statistics, whichever path computes them.
#![cfg(feature = "flex")]

mod norm;
mod paths;
mod records;
mod steps;
#[path = "../turns/mod.rs"]
mod turns;

use burn::tensor::{Device, Distribution, Tensor};
use turns::alone;

fn device() -> Device {
    Device::flex().autodiff()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Both paths round in their own order: sums of n products differ by a few `√n ε` of their size.
fn assert_close<const D: usize>(what: &str, a: Tensor<D>, b: Tensor<D>) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let (a, b) = (numbers(a), numbers(b));
    let size = b.iter().fold(1e-3f32, |size, b| size.max(b.abs()));
    for (index, (a, b)) in a.iter().zip(&b).enumerate() {
        assert!(
            (a - b).abs() <= 2e-5 * size,
            "{what}: {a} and {b} at {index}, among numbers up to {size}"
        );
    }
}
