//! VGG, wide ResNets and the ImageNet ResNets against PyTorch and torchvision, and their products with the Hessian
//! against differences of gradients.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Deserialize;
use zosam::models::{
    ImageNetResNet, ImageNetResNetConfig, Vgg, VggConfig, WideResNet, WideResNetConfig,
};
use zosam::objective::Objective;
use zosam::sparse::{Classification, Evidence};
use zosam::tangent::Dual;
use zosam::tree::ParamVector;

use crate::reference::{
    BATCH, Tensors, assert_all_close, assert_close, read, state_of, torch_tensors, with_state,
};

/// Absolute. Logits are up to 3 and gradients up to 2; the two implementations sum in different orders, which makes
/// 5e-6 on logits and 6e-6 on gradients here, as much as PyTorch's own f32 is away from its f64.
const TOLERANCE: f32 = 2e-5;

/// The narrow network of bottlenecks has gradients up to 8 and logits up to 7: 2e-5 on gradients, of which PyTorch's f32
/// is away from its f64 as much.
const TOLERANCE_OF_BOTTLENECKS: f32 = 1e-4;

#[derive(Deserialize)]
struct Golden {
    pixels: usize,
    state: Tensors,
    logits: Vec<f32>,
    loss: f32,
    gradients: Tensors,
    /// Running means and variances after the training pass.
    statistics: Tensors,
    eval_logits: Vec<f32>,
}

impl Golden {
    /// The formula of `make_models.py`.
    fn images(&self, device: &Device) -> Tensor<4> {
        let shape = [BATCH, 3, self.pixels, self.pixels];
        let number = |i: usize| ((i * i * 7919) % 100_003) as f64 / 50_000.0 - 1.0;
        let numbers: Vec<f32> = (0..shape.iter().product())
            .map(|i| number(i) as f32)
            .collect();
        Tensor::from_data(TensorData::new(numbers, shape), device)
    }

    fn labels(&self, device: &Device) -> Tensor<1, Int> {
        Tensor::arange(0..BATCH as i64, device)
    }
}

/// What the networks have in common, as functions.
#[derive(Clone, Copy)]
struct Network<M> {
    loss: fn(&M, Tensor<4>, Tensor<1, Int>) -> (Tensor<1>, Tensor<2>),
    forward: fn(&M, Tensor<4>) -> Tensor<2>,
    tangent: fn(&M, &M, Tensor<4>) -> Dual<2>,
}

const VGG: Network<Vgg> = Network {
    loss: Vgg::loss,
    forward: Vgg::forward,
    tangent: Vgg::forward_tangent,
};
const WIDE: Network<WideResNet> = Network {
    loss: WideResNet::loss,
    forward: WideResNet::forward,
    tangent: WideResNet::forward_tangent,
};
const IMAGENET: Network<ImageNetResNet> = Network {
    loss: ImageNetResNet::loss,
    forward: ImageNetResNet::forward,
    tangent: ImageNetResNet::forward_tangent,
};

fn flat<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

fn matches_pytorch<M: Module>(file: &str, model: M, network: Network<M>, tolerance: f32) {
    let golden: Golden = read(file);
    let device = Device::flex().autodiff();
    let model = with_state(model, &golden.state);
    assert_eq!(state_of(&model), golden.state, "all of the network is set");

    let (images, labels) = (golden.images(&device), golden.labels(&device));
    let loss = |model: &M| (network.loss)(model, images.clone(), labels.clone());
    let pass = Objective::new(&model, loss, 0).gradient(None);
    assert_close("logits", &flat(&pass.extra), &golden.logits, tolerance);
    assert_close("loss", &flat(&pass.loss), &[golden.loss], tolerance);
    let gradients = torch_tensors(&model, &pass.vector);
    assert_all_close("gradient", &gradients, &golden.gradients, tolerance);
    let mut statistics = state_of(&pass.twin);
    statistics.retain(|name, _| golden.statistics.contains_key(name));
    assert_all_close("statistics", &statistics, &golden.statistics, tolerance);

    let inference = (network.forward)(&model.valid(), golden.images(&Device::flex()));
    let logits = flat(&inference);
    assert_close("inference logits", &logits, &golden.eval_logits, tolerance);

    differentiates_twice(&model, network, &golden, &pass.vector);
}

/// The Hessian times the gradient, by dual numbers and by differences of gradients in f64.
fn differentiates_twice<M: Module>(
    model: &M,
    network: Network<M>,
    golden: &Golden,
    gradient: &ParamVector,
) {
    let device = Device::flex().autodiff();
    let batch = || vec![(golden.images(&device), golden.labels(&device))];
    let by_differences = Classification::new(batch(), network.forward);
    let by_tangents = Classification::new(batch(), network.forward).with_tangent(network.tangent);
    let product = |data: &dyn Evidence<M>| data.hessian_product(model, gradient, 1.0, 0).unwrap();
    let (expected, actual) = (product(&by_differences), product(&by_tangents));
    let apart = 1.0 - actual.dot(&expected) / (actual.norm() * expected.norm());
    let ratio = actual.norm() / expected.norm();
    // The limits that `before_training` has against double backward.
    assert!(apart < 1e-6, "1 - cos = {apart:e}");
    assert!((ratio - 1.0).abs() < 1e-4, "length times {ratio}");
}

#[test]
fn vgg_matches_pytorch() {
    let config = VggConfig::vgg13(10).with_width(2);
    let model = config.init(&Device::flex().autodiff()).unwrap();
    matches_pytorch("vgg", model, VGG, TOLERANCE);
}

#[test]
fn wide_resnet_matches_pytorch() {
    let config = WideResNetConfig::new(16, 2, 10).with_base(2);
    let model = config.init(&Device::flex().autodiff()).unwrap();
    matches_pytorch("wide_resnet", model, WIDE, TOLERANCE);
}

#[test]
fn basic_blocks_match_torchvision() {
    let config = ImageNetResNetConfig::resnet18(10).with_blocks([1, 2, 1, 1]);
    let model = config.with_width(2).init(&Device::flex().autodiff());
    matches_pytorch("imagenet_basic", model.unwrap(), IMAGENET, TOLERANCE);
}

#[test]
fn bottlenecks_match_torchvision() {
    let config = ImageNetResNetConfig::resnet50(10).with_blocks([2, 1, 1, 1]);
    let model = config.with_width(2).init(&Device::flex().autodiff());
    let tolerance = TOLERANCE_OF_BOTTLENECKS;
    matches_pytorch("imagenet_bottleneck", model.unwrap(), IMAGENET, tolerance);
}
