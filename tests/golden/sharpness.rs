//! Ten steps of every sharpness-aware optimizer, and three of MeZO, against `make_sharpness.py`: most of them by
//! the authors' own code or by somebody else's, two after the papers only.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{Sgd, SgdConfig};
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Deserialize;
use zosam::objective::Samples;
use zosam::optim::{ForwardOnly, ForwardRule};
use zosam::perturb::*;
use zosam::tree::{self, ParamVector};
use zosam::{SharpOptimizer, Sparsity};

use crate::reference::{
    TOLERANCE, Tensors, assert_all_close, assert_close, read, state_of, to_burn, torch_name,
    with_state,
};

const PIXELS: usize = 6;
const BATCH: usize = 8;

#[derive(Module, Debug)]
pub struct Net {
    conv: Conv2d,
    norm: BatchNorm,
    linear: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        let conv = Conv2dConfig::new([1, 3], [3, 3]);
        Self {
            conv: conv
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device),
            norm: BatchNormConfig::new(3).init(device),
            linear: LinearConfig::new(3, 4).init(device),
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let hidden = relu(self.norm.forward(self.conv.forward(images)));
        self.linear
            .forward(hidden.mean_dim(3).mean_dim(2).flatten(1, 3))
    }
}

type Images = (Tensor<4>, Tensor<1, Int>);

fn losses(net: &Net, (images, labels): &Images) -> Tensor<1> {
    let log = log_softmax(net.forward(images.clone()), 1);
    let picked = log.gather(1, labels.clone().unsqueeze_dim(1));
    picked.neg().flatten(0, 1)
}

#[derive(Deserialize)]
struct Batch {
    images: Vec<f32>,
    labels: Vec<i64>,
}

impl Batch {
    fn tensors(&self, device: &Device) -> Images {
        let shape = [BATCH, 1, PIXELS, PIXELS];
        let labels = TensorData::new(self.labels.clone(), [BATCH]);
        (
            Tensor::from_data(TensorData::new(self.images.clone(), shape), device),
            Tensor::from_data(labels, device),
        )
    }
}

#[derive(Deserialize)]
struct Variant {
    losses: Vec<f32>,
    first: Tensors,
    last: Tensors,
    drift: f32,
}

#[derive(Deserialize)]
struct Golden {
    state: Tensors,
    batches: Vec<Batch>,
    rates: Vec<f64>,
    esam_tensors: Vec<Vec<String>>,
    variants: BTreeMap<String, Variant>,
}

const DECAY: f64 = 5e-4;

fn sgd(decay: Option<f64>) -> Sgd {
    SgdConfig::new()
        .with_momentum(Some(MomentumConfig::new().with_dampening(0.0)))
        .with_weight_decay(decay.map(|decay| WeightDecayConfig::new(decay as f32)))
        .build()
}

/// The state with PyTorch's running variance, which is of the unbiased one; burn's is not.
fn unbiased(net: &Net, initial: &Tensors, passes: i32) -> Tensors {
    let (left, n) = (0.9f32.powi(passes), (BATCH * PIXELS * PIXELS) as f32);
    let mut state = state_of(net);
    let running = state.get_mut("norm.running_var").unwrap();
    for (value, initial) in running.iter_mut().zip(&initial["norm.running_var"]) {
        *value = left * initial + (*value - left * initial) * n / (n - 1.0);
    }
    state
}

/// Trains by the golden batches and compares losses and states.
fn compare<P: Perturbation>(golden: &Golden, name: &str, perturbation: P, base: Sgd) {
    let device = Device::flex().autodiff();
    let variant = &golden.variants[name];
    // Rounding that the reference itself has is no error of ours.
    let tolerance = TOLERANCE.max(3.0 * variant.drift);
    let mut net = with_state(Net::new(&device), &golden.state);
    let mut optim = SharpOptimizer::new(perturbation, base).unwrap();
    for (taken, batch) in golden.batches.iter().enumerate() {
        let lr = match name {
            "gsam_by_rate" => golden.rates[taken],
            _ => 0.1,
        };
        let loss = Samples::new(batch.tensors(&device), losses);
        let (stepped, report) = optim
            .step_on(lr, net, &mut Sparsity::dense(), loss)
            .unwrap();
        net = stepped;
        let what = format!("{name}, step {}", taken + 1);
        let loss = [report.loss_value() as f32];
        assert_close(&what, &loss, &[variant.losses[taken]], tolerance);
        let expected = match taken {
            0 => &variant.first,
            9 => &variant.last,
            _ => continue,
        };
        let state = unbiased(&net, &golden.state, taken as i32 + 1);
        assert_all_close(&what, &state, expected, tolerance);
    }
}

/// The authors' classes, or those of people who had nothing to do with this crate: see the script.
#[test]
fn ten_steps_match_other_peoples_code() {
    let golden: Golden = read("sharpness");
    let compared = |name: &str, config: SharpnessConfig| {
        compare(&golden, name, config, sgd(Some(DECAY)));
    };
    let look = || LookSamConfig::new().with_every(3);
    let per_tensor = look().with_projection(Projection::PerTensor);
    let by_rate = RadiusByRate {
        smallest: 0.02,
        rates: (0.01, 0.1),
    };
    let by_rate = GsamConfig::new().with_rho(0.1).with_by_rate(Some(by_rate));
    let coupled = WsamConfig::new().with_decoupled(false);
    compared("sam", SharpnessConfig::Sam(SamConfig::new()));
    compared("asam", SharpnessConfig::Asam(AsamConfig::new()));
    compared("gsam", SharpnessConfig::Gsam(GsamConfig::new()));
    compared("gsam_by_rate", SharpnessConfig::Gsam(by_rate));
    compared(
        "fsam",
        SharpnessConfig::FriendlySam(FriendlySamConfig::new()),
    );
    compared("wsam", SharpnessConfig::Wsam(WsamConfig::new()));
    compared("wsam_coupled", SharpnessConfig::Wsam(coupled));
    compared("looksam", SharpnessConfig::LookSam(look()));
    compared("looksam_per_tensor", SharpnessConfig::LookSam(per_tensor));
    // The authors' weight decay is in their momentum.
    let msam = MomentumSamConfig::new().with_weight_decay(DECAY);
    compare(&golden, "msam", msam, sgd(None));
    // γ = 3/8 keeps the three samples that the authors' strict comparison leaves of γ = 1/2.
    let esam = EsamConfig::new().with_gamma(0.375);
    let burns = |name: &String| {
        name.replace("norm.weight", "norm.gamma")
            .replace("norm.bias", "norm.beta")
    };
    let tensors = golden.esam_tensors.iter();
    let tensors = tensors.map(|step| step.iter().map(burns).collect());
    let esam = EsamConfig {
        tensors: tensors.collect(),
        ..esam
    };
    compare(&golden, "esam", esam, sgd(Some(DECAY)));
}

/// No code of their authors was found: these hold two readings of a paper, by one hand, against each other.
#[test]
fn ten_steps_are_those_of_the_papers() {
    let golden: Golden = read("sharpness");
    let fisher = FisherSamConfig::new();
    compare(&golden, "fisher_sam", fisher, sgd(Some(DECAY)));
    let s2sam = S2SamConfig::new();
    compare(&golden, "s2sam", s2sam, sgd(Some(DECAY)));
    assert_eq!(golden.variants.len(), 13, "all of them are compared");
}

#[derive(Deserialize)]
struct Mezo {
    epsilon: f64,
    lr: f64,
    steps: Vec<MezoStep>,
}

#[derive(Deserialize)]
struct MezoStep {
    directions: Tensors,
    projected: f64,
    state: Tensors,
}

#[derive(Deserialize)]
struct MezoGolden {
    state: Tensors,
    batches: Vec<Batch>,
    mezo: Mezo,
}

/// By the methods of the authors' trainer.
#[test]
fn three_steps_match_mezo() {
    let device = Device::flex().autodiff();
    let MezoGolden {
        state,
        batches,
        mezo,
    } = read("sharpness");
    let mut net = with_state(Net::new(&device), &state);
    let estimator = ZoSamConfig::new().with_delta(Delta::Absolute(mezo.epsilon));
    let sgd = SgdConfig::new().build();
    let mut optim = ForwardOnly::new(estimator, ForwardRule::Estimate, sgd).unwrap();
    for (step, batch) in mezo.steps.iter().zip(&batches) {
        let before = tree::values(&net);
        let mut direction = ParamVector::default();
        for leaf in tree::leaves(&net) {
            let values = to_burn(&leaf.shape, &step.directions[&torch_name(&leaf.path)]);
            let data = TensorData::new(values, [leaf.len()]);
            direction.push(leaf.id, Tensor::from_data(data, &Device::flex()));
        }
        let images = batch.tensors(&device);
        let loss = |net: &Net| losses(net, &images).mean();
        let along = Some(vec![direction.clone()]);
        let (stepped, report) = optim
            .step_along(mezo.lr, net, &mut Sparsity::dense(), loss, along)
            .unwrap();
        net = stepped;
        assert_eq!((report.passes.forwards, report.passes.backwards), (2, 0));
        let moved = tree::values(&net).add_scaled(&before, -1.0);
        let projected = -moved.dot(&direction) / direction.dot(&direction) / mezo.lr;
        // Losses of order 1 in f32, differenced over 2e-3.
        assert!((projected - step.projected).abs() < 3e-4, "{projected}");
        let mut found = state_of(&net);
        found.retain(|name, _| !name.contains("running"));
        let mut expected = step.state.clone();
        expected.retain(|name, _| !name.contains("running"));
        // The same error, times the learning rate and a component of up to three, over three steps.
        assert_all_close("MeZO", &found, &expected, 3e-5);
    }
}
