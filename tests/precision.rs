//! Models in half precision: what is measured about them is in f32.
#![cfg(feature = "flex")]

mod turns;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Distribution, FloatDType, Tensor};
use turns::alone;
use zosam::perturb::{PlainReason, SamConfig, Sharpness, SharpnessConfig, ZoSamConfig};
use zosam::{RandomStatic, SharpOptimizer, Sparsity, tree};

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    second: Linear,
}

impl Net {
    fn new(dtype: FloatDType) -> Self {
        let device = Device::flex().autodiff();
        device.seed(1);
        let net = Self {
            first: LinearConfig::new(20, 64).init(&device),
            second: LinearConfig::new(64, 5).init(&device),
        };
        tree::values(&net);
        net.map(&mut Cast(dtype))
    }

    /// The mean square, in the model's own precision.
    fn loss(&self, inputs: Tensor<2>) -> Tensor<1> {
        let hidden = relu(self.first.forward(inputs));
        self.second.forward(hidden).powi_scalar(2).mean()
    }
}

struct Cast(FloatDType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let cast = Tensor::<D>::from_inner(tensor.inner().cast(self.0)).require_grad();
        Param::from_mapped_value(id, cast, mapper)
    }
}

fn batch(dtype: FloatDType) -> Tensor<2> {
    let device = Device::flex().autodiff();
    device.seed(2);
    let inputs = Tensor::<2>::random([32, 20], Distribution::Normal(0.0, 1.0), &device);
    inputs.cast(dtype)
}

const HALVES: [FloatDType; 2] = [FloatDType::F16, FloatDType::BF16];

fn configs(rho: f64) -> [(&'static str, SharpnessConfig); 4] {
    let zo = || ZoSamConfig::new().with_rho(rho);
    [
        ("sam", SharpnessConfig::Sam(SamConfig::new().with_rho(rho))),
        ("zo-sam", SharpnessConfig::ZoSam(zo())),
        (
            "zo-sam m=4",
            SharpnessConfig::ZoSam(zo().with_directions(4)),
        ),
        (
            "fisher-sam",
            SharpnessConfig::FisherSam(zosam::perturb::FisherSamConfig::new().with_rho(rho)),
        ),
    ]
}

fn optimizer(config: SharpnessConfig) -> SharpOptimizer<Sharpness, burn::optim::Sgd> {
    config.init(SgdConfig::new().build()).unwrap()
}

fn all_finite(net: &Net) -> bool {
    tree::values(net).norm().is_finite()
}

/// `‖ε‖ = ρ` to f32's precision, dead weights are +0, weights keep their type.
#[test]
fn perturbations_have_their_length() {
    let _turn = alone();
    for dtype in HALVES {
        for (name, config) in configs(0.05) {
            let mut optim = optimizer(config);
            let mut sparsity = Sparsity::new(RandomStatic::new(0.5));
            let inputs = batch(dtype);
            let loss = |net: &Net| net.loss(inputs.clone());
            let mut net = sparsity.attach(Net::new(dtype), loss).unwrap();
            for _ in 0..3 {
                let report;
                (net, report) = optim.step_with(0.1, net, &mut sparsity, loss).unwrap();
                // Two probes may round to the same loss; a step without ε is reported.
                let Some(offset) = report.offset else {
                    assert_eq!(report.plain, Some(PlainReason::ZeroEstimate), "{name}");
                    continue;
                };
                let norm = offset.vector().norm();
                if name != "fisher-sam" {
                    assert!((norm / 0.05 - 1.0).abs() < 1e-6, "{name} {dtype:?}: {norm}");
                }
            }
            let weight = net.first.weight.val();
            assert_eq!(FloatDType::from(weight.dtype()), dtype, "{name}");
            let weights = tree::values(&net);
            let live = sparsity.masks().project(weights.clone());
            assert_eq!(live.add_scaled(&weights, -1.0).norm(), 0.0, "{name}");
            assert!(all_finite(&net), "{name} {dtype:?}");
        }
    }
}

/// In f16 squares of small gradients vanish and sums of many overflow; in f32 neither.
#[test]
fn norms_have_the_range_of_f32() {
    let _turn = alone();
    for (value, size) in [(1e-4, 1000), (60.0, 100_000)] {
        let component = Tensor::<1>::full([size], value, &Device::flex()).cast(FloatDType::F16);
        let rounded = f64::from(component.clone().max().into_scalar::<f32>());
        let mut vector = tree::ParamVector::default();
        vector.push(burn::module::ParamId::new(), component);
        let expected = rounded * (size as f64).sqrt();
        assert!((vector.norm() / expected - 1.0).abs() < 1e-6);
    }
}

/// Where the perturbed point is out of f16's range the step is a plain one, and is counted; the weights stay numbers.
#[test]
fn overflow_gives_a_plain_step() {
    let _turn = alone();
    for (name, config) in configs(1e4) {
        let mut optim = optimizer(config);
        let inputs = batch(FloatDType::F16);
        let loss = |net: &Net| net.loss(inputs.clone());
        let start = Net::new(FloatDType::F16);
        let before = tree::values(&start);
        let result = optim.step_with(0.1, start, &mut Sparsity::dense(), loss);
        let (net, report) = result.unwrap();
        assert_eq!(report.plain, Some(PlainReason::NonFinite), "{name}");
        assert!(report.loss_value().is_finite(), "{name}");
        assert!(all_finite(&net), "{name}");
        let moved = tree::values(&net).add_scaled(&before, -1.0).norm();
        assert!(moved > 0.0, "{name}: the step at θ was taken");
    }
}
