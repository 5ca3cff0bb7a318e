//! What the module itself makes of the sample.

use burn::module::Module;
use burn::tensor::{Device, TensorData};

use super::mappers::{doubled, image, moved, numbers};
use super::tensors::Tensors;
use super::trace::panicked;
use crate::error::{Error, Result, caught};
use crate::inference::{Input, Output, SparseNetwork};

/// Inputs and outputs of a module, run by burn on flex.
pub(super) struct Reference {
    /// Whether an image's outputs are the same alone and among others.
    pub is_each: bool,
    inputs: Vec<TensorData>,
    outputs: Vec<TensorData>,
}

/// How far an image's outputs alone may be from those beside another, relative to the largest:
/// matrix products of other sizes are summed in another order.
const ROUNDING: f64 = 1e-4;

impl Reference {
    pub fn new<M: Module, I: Tensors, O: Tensors>(
        module: &M,
        sample: &I,
        forward: &impl Fn(&M, I) -> O,
        whole_batch: bool,
    ) -> Result<Self> {
        let device = Device::flex();
        let module = module.valid().materialize().to_device(&device);
        let run = |inputs: &I| {
            let outputs = || numbers(&moved(forward(&module, inputs.clone()), &device));
            caught(outputs).map_err(panicked)
        };
        let shapes: Vec<Vec<usize>> = numbers(sample).iter().map(shape).collect();
        let batch = shapes.first().and_then(|shape| shape.first().copied());
        let has_batch = batch.is_some_and(|batch| {
            batch > 0 && shapes.iter().all(|shape| shape.first() == Some(&batch))
        });
        if has_batch && !whole_batch {
            let one = image(sample, 0);
            // The second of two is the sample's first.
            let two = doubled(&one);
            let alone = run(&one)?;
            if let Ok(outputs) = run(&two)
                && pairs(&alone, &outputs)
            {
                return Ok(Self {
                    is_each: true,
                    inputs: numbers(&two),
                    outputs,
                });
            }
        }
        Ok(Self {
            is_each: false,
            inputs: numbers(sample),
            outputs: run(sample)?,
        })
    }

    /// Checks a network's outputs.
    pub fn check(&self, network: &SparseNetwork, tolerance: f64) -> Result<()> {
        let inputs: Vec<Numbers> = self.inputs.iter().map(Numbers::new).collect();
        let inputs: Vec<Input> = inputs.iter().map(Numbers::input).collect();
        let found = network.run(&inputs)?;
        for (at, (found, expected)) in found.into_iter().zip(&self.outputs).enumerate() {
            let found = match found {
                Output::Float(numbers) => numbers.into_iter().map(f64::from).collect(),
                Output::Int(numbers) => numbers.into_iter().map(f64::from).collect::<Vec<_>>(),
            };
            let expected: Vec<f64> = expected.iter::<f64>().collect();
            let apart = apart(&found, &expected);
            if apart.is_nan() || apart > tolerance {
                return Err(Error::Compile {
                    reason: format!(
                        "output {at} is {apart:.1e} of its largest number away from the module's, more than {tolerance:.1e}"
                    ),
                    instead: "a larger tolerance if that is rounding; if not, please report it",
                });
            }
        }
        Ok(())
    }
}

fn shape(data: &TensorData) -> Vec<usize> {
    data.shape().iter().copied().collect()
}

/// Whether the second of two images' outputs are one image's.
fn pairs(alone: &[TensorData], two: &[TensorData]) -> bool {
    let is_pair = |(one, two): (&TensorData, &TensorData)| {
        let (one_shape, two_shape) = (shape(one), shape(two));
        let fits = match (&one_shape[..], &two_shape[..]) {
            ([1, rest @ ..], [2, others @ ..]) => rest == others,
            _ => false,
        };
        let one: Vec<f64> = one.iter::<f64>().collect();
        let two: Vec<f64> = two.iter::<f64>().skip(one.len()).collect();
        fits && apart(&two, &one) <= ROUNDING
    };
    alone.len() == two.len() && alone.iter().zip(two).all(is_pair)
}

/// The largest difference, relative to the largest number; NaN and infinite numbers are to be the
/// same.
fn apart(found: &[f64], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return f64::NAN;
    }
    let finite = expected.iter().filter(|number| number.is_finite());
    let scale = finite.fold(0.0, |most: f64, number| most.max(number.abs()));
    let difference = |(found, expected): (&f64, &f64)| match (found.is_nan(), expected.is_nan()) {
        (true, true) => 0.0,
        (false, false) if found == expected => 0.0,
        (false, false) if expected.is_finite() => (found - expected).abs() / scale.max(1e-30),
        _ => f64::INFINITY,
    };
    let differences = found.iter().zip(expected).map(difference);
    differences.fold(0.0, f64::max)
}

/// Numbers of an input in the types that networks take.
enum Numbers {
    Float(Vec<f32>),
    Int(Vec<i32>),
}

impl Numbers {
    fn new(data: &TensorData) -> Self {
        match data.dtype().is_float() {
            true => Self::Float(data.iter::<f32>().collect()),
            false if data.dtype().is_bool() => {
                Self::Int(data.iter::<bool>().map(i32::from).collect())
            }
            false => Self::Int(data.iter::<i32>().collect()),
        }
    }

    fn input(&self) -> Input<'_> {
        match self {
            Self::Float(numbers) => Input::Float(numbers),
            Self::Int(numbers) => Input::Int(numbers),
        }
    }
}
