//! Any burn module on the sparse engine.
#![cfg(feature = "compile")]

mod bounds;
mod families;
mod files;
mod forge;
mod modules;
mod networks;
#[cfg(feature = "onnx")]
mod onnx;
mod random;
mod shortcuts;
mod traps;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use zosam::compile::CompileConfig;
use zosam::inference::{Input, SparseNetwork};

/// Numbers without a pattern in [-1, 1].
pub fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let number = |i: usize| (((i + seed) * (i + seed) * 7919) % 100_003) as f32 / 50_000.0 - 1.0;
    (0..count).map(number).collect()
}

pub fn tensor<const D: usize>(shape: [usize; D], seed: usize) -> Tensor<D> {
    let data = TensorData::new(numbers(shape.iter().product(), seed), shape);
    Tensor::from_data(data, &Device::flex())
}

pub fn tokens(shape: [usize; 2], most: usize, seed: usize) -> Tensor<2, Int> {
    let number = |i: usize| ((i + seed) * (i + seed) * 31 % most) as i32;
    let tokens: Vec<i32> = (0..shape[0] * shape[1]).map(number).collect();
    Tensor::from_data(TensorData::new(tokens, shape), &Device::flex())
}

/// Parameters without a pattern, a share of those of two axes and more zero, and running statistics of a module that has seen
/// something.
pub struct Trained {
    pub density: f64,
    seed: usize,
}

pub fn trained<M: Module>(module: M, density: f64) -> M {
    module.valid().map(&mut Trained { density, seed: 1 })
}

impl ModuleMapper for Trained {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let shape = tensor.dims();
        self.seed += 131;
        let count: usize = shape.iter().product();
        let numbers = numbers(count, self.seed);
        // Positive for variances; around 1 for factors of norms.
        let vector = |number: &f32| 1.0 + 0.4 * number;
        let fan = (shape[1..].iter().product::<usize>() as f32).sqrt();
        let kept = |at: usize| {
            let hash = (at.wrapping_mul(2_654_435_761) >> 7) % 1000;
            (hash as f64) < self.density * 1000.0
        };
        let weight = |(at, number): (usize, &f32)| if kept(at) { 1.7 * number / fan } else { 0.0 };
        let values: Vec<f32> = match D {
            1 => numbers.iter().map(vector).collect(),
            _ => numbers.iter().enumerate().map(weight).collect(),
        };
        let data = TensorData::new(values, shape);
        let tensor = Tensor::from_data(data, &tensor.device());
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Numbers of a tensor.
pub fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The largest difference, relative to the largest number.
pub fn apart(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
    let pairs = found.iter().zip(expected);
    pairs.fold(0f32, |most, (a, b)| most.max((a - b).abs())) / scale.max(1e-20)
}

/// Outputs of a module of images for batches of 1 to 5 are the module's to 1e-5 of the largest: a few hundred roundings in
/// sums of another order, batch norm a factor of the weights here and a step of its own there.
pub fn agrees<const D: usize, const O: usize, M: Module>(
    name: &str,
    module: &M,
    sample: [usize; D],
    forward: impl Fn(&M, Tensor<D>) -> Tensor<O>,
) -> SparseNetwork {
    let config = CompileConfig::new().with_tolerance(Some(1e-5));
    let network = config.compile(module, tensor(sample, 5), &forward);
    let network = network.unwrap_or_else(|error| panic!("{name}: {error}"));
    for batch in [1, 3, 5] {
        let mut shape = sample;
        shape[0] = batch;
        let images = tensor(shape, 17);
        let expected = floats(forward(module, images.clone()));
        let images = floats(images);
        let outputs = network.run(&[Input::Float(&images)]).unwrap();
        let found = outputs
            .into_iter()
            .next()
            .and_then(|output| output.floats());
        let found = found.unwrap();
        let apart = apart(&found, &expected);
        assert!(apart < 1e-5, "{name}, batch {batch}: {apart:e}");
    }
    network
}
