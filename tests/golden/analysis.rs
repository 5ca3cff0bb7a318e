//! Instruments against PyTorch's double backward with a dense eigensolver, and against NumPy (`make_analysis.py`).

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Deserialize;
use zosam::analysis::{SpectrumConfig, class_activation, linear_cka};
use zosam::masks::Masks;
use zosam::sparse::{Classification, Evidence};
use zosam::tangent::{Dual, ForwardTangent};
use zosam::tree::ParamVector;

use crate::reference::read;

#[derive(Deserialize)]
struct Golden {
    hessian: Hessian,
    alignment: Alignment,
    activation_map: ActivationMap,
}

#[derive(Deserialize)]
struct Alignment {
    x: Vec<f32>,
    y: Vec<f32>,
    value: f64,
}

#[derive(Deserialize)]
struct ActivationMap {
    activations: Vec<f32>,
    weights: Vec<f32>,
    value: Vec<f32>,
}

#[derive(Deserialize)]
struct Hessian {
    parts: [Vec<f32>; 4],
    data: Vec<f32>,
    labels: Vec<i64>,
    loss: f32,
    eigenvalues: Vec<f64>,
}

#[derive(Module, Debug)]
struct Net {
    hidden: Linear,
    last: Linear,
}

impl Net {
    fn of(parts: &[Vec<f32>; 4], device: &Device) -> Self {
        let layer = |[inputs, outputs]: [usize; 2], weight: &Vec<f32>, bias: &Vec<f32>| {
            let weight = TensorData::new(weight.clone(), [inputs, outputs]);
            let bias = TensorData::new(bias.clone(), [outputs]);
            Linear {
                weight: Param::from_data(weight, device),
                bias: Some(Param::from_data(bias, device)),
            }
        };
        Self {
            hidden: layer([6, 8], &parts[0], &parts[1]),
            last: layer([8, 4], &parts[2], &parts[3]),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = burn::tensor::activation::gelu(self.hidden.forward(x));
        self.last.forward(hidden)
    }

    fn forward_tangent(&self, direction: &Self, x: Tensor<2>) -> Dual<2> {
        let hidden = self
            .hidden
            .forward_tangent(&direction.hidden, Dual::constant(x));
        self.last.forward_tangent(&direction.last, hidden.gelu())
    }
}

#[test]
fn eigenvalues_are_those_of_double_backward() {
    let golden = read::<Golden>("analysis").hessian;
    let device = Device::flex().autodiff();
    let model = Net::of(&golden.parts, &device);
    let masks = Masks::from_nonzeros(&model);
    let data = TensorData::new(golden.data, [32, 6]);
    let labels = Tensor::<1, Int>::from_ints(golden.labels.as_slice(), &device);
    let batch = (Tensor::<2>::from_data(data, &device), labels);
    let evidence = Classification::new([batch.clone()], Net::forward);
    let loss = burn::nn::loss::CrossEntropyLossConfig::new().init(&device);
    let loss = loss.forward(model.forward(batch.0), batch.1);
    // Two orders of the same sums in f32.
    assert!((loss.into_scalar::<f32>() - golden.loss).abs() < 1e-5);

    let count = golden.eigenvalues.len();
    let config = SpectrumConfig::new().with_probes(2).with_steps(count);
    let evidence = evidence.with_tangent(Net::forward_tangent);
    let product = |vector: &ParamVector| evidence.hessian_product(&model, vector, 1.0, 0);
    let spectrum = config.measure(&model, &masks, product).unwrap();
    assert_eq!(spectrum.weights, count);
    // Products and vectors are of f32, of which 52 are made orthogonal to each other.
    let is =
        |found: f64, expected: f64| assert!((found - expected).abs() < 2e-5, "{found}, {expected}");
    // As sets: an eigenvalue that several vectors share, zero here, is met once, or as often as rounding lets it.
    for probe in &spectrum.density.probes {
        let found: Vec<f64> = probe.iter().map(|(value, _)| *value).collect();
        for value in &found {
            is(*value, nearest(&golden.eigenvalues, *value));
        }
        for value in &golden.eigenvalues {
            is(nearest(&found, *value), *value);
        }
    }
    is(spectrum.smallest.value, golden.eigenvalues[0]);
    is(spectrum.largest.value, golden.eigenvalues[count - 1]);
}

fn nearest(among: &[f64], value: f64) -> f64 {
    let apart = |other: &&f64| (*other - value).abs();
    let nearest = among.iter().min_by(|a, b| apart(a).total_cmp(&apart(b)));
    *nearest.expect("there are some")
}

#[test]
fn alignment_and_maps_are_numpys() {
    let device = Device::flex();
    let golden: Golden = read("analysis");
    let Alignment { x, y, value } = golden.alignment;
    let x = Tensor::<2>::from_data(TensorData::new(x, [9, 5]), &device);
    let y = Tensor::<2>::from_data(TensorData::new(y, [9, 7]), &device);
    assert!((linear_cka(x, y) - value).abs() < 1e-6);
    let map = golden.activation_map;
    let activations = TensorData::new(map.activations, [3, 4, 2]);
    let activations = Tensor::<3>::from_data(activations, &device);
    let weights = Tensor::<1>::from_floats(map.weights.as_slice(), &device);
    let found = class_activation(activations, weights).into_data();
    // Sums of three products in f32.
    for (found, expected) in found.iter::<f32>().zip(map.value) {
        assert!((found - expected).abs() < 1e-6);
    }
}
