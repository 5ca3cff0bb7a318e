//! A device of its own memory takes the host's steps. burn-ndarray stands for it, where `ZOSAM_TEST_DEVICE` names none: without the feature `ndarray`
//! of this crate it is taken for one, so that vectors are in one piece there.
#![allow(deprecated, reason = "burn-ndarray stands for a GPU here")]

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::nn::{BatchNormConfig, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use zosam::RigL;
use zosam::nn::{BatchNorm, Conv2d, Linear};
use zosam::objective::{Objective, Offset, seeded};
use zosam::perturb::SharpnessConfig;
use zosam::sparse::Sparsity;
use zosam::tree::{self, ParamVector};

use crate::setup::{Optim, perturbations, plain_device, sgd};

fn elsewhere() -> Device {
    match plain_device() {
        flex if flex == Device::flex() => Device::ndarray(),
        other => other,
    }
}

/// A net without random layers.
#[derive(Module, Debug)]
struct Quiet {
    conv: Conv2d,
    norm: BatchNorm,
    linear: Linear,
}

impl Quiet {
    fn new(device: &Device) -> Self {
        Self {
            conv: Conv2d::new(&Conv2dConfig::new([1, 6], [3, 3]), device),
            norm: BatchNorm::new(&BatchNormConfig::new(6), device),
            linear: Linear::new(&LinearConfig::new(6 * 16, 5), device),
        }
    }

    fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> Tensor<1> {
        let hidden = self.norm.forward_relu(self.conv.forward(images));
        let logits = self.linear.forward(hidden.flatten(1, 3));
        burn::nn::loss::CrossEntropyLossConfig::new()
            .init(&logits.device())
            .forward(logits, labels)
    }
}

/// The net on the host, always the same.
fn quiet() -> Quiet {
    let host = Device::flex().autodiff();
    seeded(&host, 7, || {
        let net = Quiet::new(&host);
        tree::values(&net);
        net
    })
}

/// The net's weights after eight steps with two changes of masks, all numbers made on the host.
fn trained(sharpness: &SharpnessConfig, device: &Device) -> Vec<f64> {
    let mut net = quiet().fork(&device.clone().autodiff());
    let mut optim: Optim<_> = sharpness.init(sgd()).unwrap();
    let rigl = RigL::new(0.8).until(12).every(3);
    let mut sparsity = Sparsity::new(rigl);
    net = sparsity
        .attach(net, |_: &Quiet| -> Tensor<1> { unreachable!() })
        .unwrap();
    for step in 0..8 {
        let pixel = |i: i64| ((i * 37 + step * 101) % 97) as f32 / 48.5 - 1.0;
        let pixels: Vec<f32> = (0..360).map(pixel).collect();
        let images = TensorData::new(pixels, [10, 1, 6, 6]);
        let labels: Vec<i64> = (0..10).map(|i| (i + step) % 5).collect();
        let device = device.clone().autodiff();
        let images = Tensor::<4>::from_data(images, &device);
        let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
        let loss = |net: &Quiet| net.loss(images.clone(), labels.clone());
        net = optim.step_with(0.05, net, &mut sparsity, loss).unwrap().0;
    }
    numbers(&tree::values(&net))
}

fn numbers(vector: &ParamVector) -> Vec<f64> {
    let parts = vector.iter();
    parts
        .flat_map(|(_, part)| part.to_data().iter::<f64>().collect::<Vec<_>>())
        .collect()
}

/// Perturbations that draw directions draw others there, and are left out.
#[test]
fn steps_are_the_hosts() {
    let draws = |name: &str| {
        name.starts_with("random") || (name.starts_with("zo") && name != "zo forecast")
    };
    for (name, sharpness, _) in perturbations(0.1) {
        if draws(name) {
            continue;
        }
        let host = trained(&sharpness, &Device::flex());
        let other = trained(&sharpness, &elsewhere());
        let pairs = host.iter().zip(&other);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        // Weights of about 0.3, eight steps, sums in another order: 9.5e-7 was the largest seen on burn-ndarray; a GPU has more orders.
        assert!(worst < 2e-5, "{name}: {worst:e}");
    }
}

/// What an operation gives does not depend on whether a vector is in one piece.
#[test]
fn a_vector_in_one_piece_is_the_vector() {
    let on = |device: Device| {
        let net = quiet().fork(&device.autodiff());
        let value = |i: usize| (i * 7919 % 251) as f32 / 251.0 - 0.4;
        tree::replace(net, |_, old| {
            let values: Vec<f32> = (0..old.dims()[0]).map(value).collect();
            Some(Tensor::from_floats(values.as_slice(), &old.device()))
        })
    };
    let [host, other] = [Device::flex(), elsewhere()].map(on);
    let [(a, b), (c, d)] = [&host, &other].map(|net| {
        let values = tree::values(net);
        let other = values.clone().map(|_, part| part.powi_scalar(2));
        (values, other)
    });
    let close = |x: f64, y: f64| assert!((x - y).abs() <= 1e-5 * x.abs(), "{x} {y}");
    close(a.dot(&b), c.dot(&d));
    close(a.norm(), c.norm());
    let sums = [a.add_scaled(&b, 0.5), c.add_scaled(&d, 0.5)].map(|sum| sum.scaled(3.0));
    let [left, right] = sums.each_ref().map(numbers);
    // A device may fuse a product and a sum: one rounding less.
    left.iter().zip(&right).for_each(|(x, y)| close(*x, *y));
    // A component is the same, whether it is asked for or met on the way.
    for (id, part) in sums[1].iter() {
        assert_eq!(sums[1].get(id).unwrap().to_data(), part.to_data());
    }
    assert_eq!(sums[1].iter().count(), 6);
}

/// The weights that move are joined once for an objective, and joined again for a direction of other parameters.
#[test]
fn evaluations_away_from_the_weights_are_the_hosts() {
    let values = |device: Device| {
        let net = quiet().fork(&device.clone().autodiff());
        let pixels: Vec<f32> = (0..360)
            .map(|i| (i * 37 % 97) as f32 / 48.5 - 1.0)
            .collect();
        let device = device.autodiff();
        let images = Tensor::<4>::from_data(TensorData::new(pixels, [10, 1, 6, 6]), &device);
        let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 3, 4, 0, 1, 2, 3, 4], &device);
        let loss = |net: &Quiet| net.loss(images.clone(), labels.clone());
        let mut objective = Objective::new(&net, loss, 0);
        let all = tree::values(&net);
        // The classifier's bias. (A longer kernel changes nothing, because a norm comes next.)
        let last = all.iter().last().unwrap().0;
        let [one, others] = [true, false].map(|is| all.clone().filter(|id| (id == last) == is));
        let mut at = |direction: &ParamVector, scale| {
            let direction = direction.clone();
            objective.value(Some(&Offset { direction, scale }))
        };
        [
            at(&all, 1.0),
            at(&all, -0.5),
            at(&one, 1.0),
            at(&others, 1.0),
            at(&all, 1.0),
        ]
    };
    let [host, other] = [Device::flex(), elsewhere()].map(values);
    for (host, other) in host.iter().zip(&other) {
        // Losses of some 1.6 from sums of a hundred numbers in f32, in another order.
        assert!((host - other).abs() < 1e-5, "{host} {other}");
    }
    // They are five different points but for the first and the last, which are one.
    assert_eq!(other[0], other[4]);
    for (i, value) in other[..4].iter().enumerate() {
        assert!(
            other[..i]
                .iter()
                .all(|before| (before - value).abs() > 1e-3)
        );
    }
}
