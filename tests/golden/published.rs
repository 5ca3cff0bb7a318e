//! The published convolutional networks whole, at their full width and depth: logits against torchvision and PyTorch.
//!
//! Losses and gradients are compared on narrow networks of the same blocks, in `models`.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;
use zosam::models::{ImageNetResNetConfig, VggConfig, WideResNetConfig};
use zosam::tree;

use crate::reference::{Tensors, assert_close, numbers, read, torch_name, with_state};

/// Absolute, on logits up to 7.
const TOLERANCE: f32 = 1e-4;

/// By the names of `make_published.py`.
#[derive(Deserialize)]
struct Golden {
    vgg19: Vec<f32>,
    wrn_28_10: Vec<f32>,
    resnet18: Vec<f32>,
    resnet50: Vec<f32>,
}

/// `value` of `make_published.py`.
fn value(name: &str, burn_shape: &[usize], gain: f64) -> Vec<f32> {
    let count = burn_shape.iter().product();
    let inputs = match burn_shape {
        [_] => {
            let is_one = name.ends_with("running_var") || name.ends_with("weight");
            let values = numbers(name, count, 0.3).into_iter();
            return values.map(|v| if is_one { v + 1.0 } else { v }).collect();
        }
        [inputs, _] => *inputs,
        _ => count / burn_shape[0],
    };
    numbers(name, count, (3.0 * gain / inputs as f64).sqrt())
}

fn filled<M: Module>(model: M, gain: f64) -> M {
    let tensors = tree::named_tensors(&model).into_iter();
    let state = tensors.map(|(path, data)| {
        let shape: Vec<usize> = data.shape().iter().copied().collect();
        let name = torch_name(&path);
        let values = value(&name, &shape, gain);
        (name, values)
    });
    let state: Tensors = state.collect();
    with_state(model, &state)
}

fn check<M: Module>(
    model: zosam::Result<M>,
    gain: f64,
    side: usize,
    forward: fn(&M, Tensor<4>) -> Tensor<2>,
    expected: &[f32],
) {
    let device = Device::flex();
    let model = filled(model.unwrap(), gain).valid();
    let shape = [2, 3, side, side];
    let images = numbers("images", shape.iter().product(), 2.0);
    let images = Tensor::from_data(TensorData::new(images, shape), &device);
    let logits: Vec<f32> = forward(&model, images).to_data().iter::<f32>().collect();
    assert_close("logits", &logits, expected, TOLERANCE);
}

#[test]
fn vgg19_and_wrn_28_10_match_pytorch() {
    let golden: Golden = read("published");
    let device = Device::flex().autodiff();
    let vgg = VggConfig::vgg19(10).init(&device);
    check(vgg, 2.0, 32, |m, x| m.forward(x), &golden.vgg19);
    let wide = WideResNetConfig::wrn_28_10(10).init(&device);
    check(wide, 1.0, 16, |m, x| m.forward(x), &golden.wrn_28_10);
}

#[test]
fn resnet18_and_resnet50_match_torchvision() {
    let golden: Golden = read("published");
    let device = Device::flex().autodiff();
    let small = ImageNetResNetConfig::resnet18(1000).init(&device);
    check(small, 1.0, 64, |m, x| m.forward(x), &golden.resnet18);
    let large = ImageNetResNetConfig::resnet50(1000).init(&device);
    check(large, 1.0, 64, |m, x| m.forward(x), &golden.resnet50);
}
