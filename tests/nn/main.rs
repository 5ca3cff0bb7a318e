//! The layers of `zosam::nn`: burn's results, records and running statistics, whichever path computes them.
#![cfg(feature = "flex")]

mod attention;
mod convolutions;
mod copies;
mod norm;
mod paths;
mod records;
mod steps;
mod transformer;
mod transposed;

use std::cell::Cell;

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use zosam::objective::seeded;
use zosam::tree;

fn device() -> Device {
    Device::flex().autodiff()
}

/// Other numbers at each call of a test, the same in each run of it.
fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    thread_local!(static DRAWN: Cell<u64> = const { Cell::new(0) });
    let seed = DRAWN.replace(DRAWN.get() + 1);
    let normal = Distribution::Normal(0.0, 1.0);
    seeded(&device(), seed, || Tensor::random(shape, normal, &device()))
}

/// Has a module draw its parameters while no other test draws: burn draws them when they are first read.
fn drawn<M: Module>(module: M) -> M {
    seeded(&device(), 9, || {
        tree::values(&module);
        module
    })
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
