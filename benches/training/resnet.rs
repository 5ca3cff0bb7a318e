//! `resnet width batch layers density distribution sharpness`: ResNet-32 under SGD with momentum. Layers are `ours` or `burn`, a distribution is
//! `uniform` or `erk`, sharpness `none` or `zo-sam`.

use burn::optim::SgdConfig;
use burn::optim::momentum::MomentumConfig;
use burn::tensor::{Distribution as Random, Int, Tensor};
use zosam::ZoSamConfig;
use zosam::models::{ResNet, ResNetConfig};
use zosam::perturb::SharpnessConfig;
use zosam::sparse::{Distribution, RandomStatic, Sparsity};

use crate::plain_resnet::PlainResNet;
use crate::{device, number, steps};

type Batch = (Tensor<4>, Tensor<1, Int>);

pub fn run(words: &[&str]) -> Box<dyn FnMut()> {
    let [width, batch, layers, density, distribution, sharpness] = words else {
        panic!("width batch layers density distribution sharpness, not {words:?}");
    };
    let (width, batch, density) = (number(width), number(batch), number::<f64>(density));
    let distribution = match *distribution {
        "uniform" => Distribution::Uniform,
        _ => Distribution::Erk,
    };
    let sharpness = match *sharpness {
        "zo-sam" => SharpnessConfig::ZoSam(ZoSamConfig::new()),
        _ => SharpnessConfig::None,
    };
    let sparsity = match density < 1.0 {
        true => Sparsity::new(RandomStatic::new(1.0 - density).with_distribution(distribution)),
        false => Sparsity::dense(),
    };
    let momentum = MomentumConfig::new().with_dampening(0.0);
    let sgd = SgdConfig::new().with_momentum(Some(momentum)).build();
    let optim = sharpness.init(sgd).expect("valid");
    let device = device::chosen().autodiff();
    let images = Tensor::random([batch, 3, 32, 32], Random::Normal(0.0, 1.0), &device);
    let labels: Vec<i64> = (0..batch as i64).map(|i| i % 10).collect();
    let batch: Batch = (images, Tensor::from_ints(labels.as_slice(), &device));
    match *layers {
        "burn" => {
            let model = PlainResNet::new(width, &device);
            steps(model, sparsity, optim, batch, |model, (images, labels)| {
                model.loss(images.clone(), labels.clone())
            })
        }
        _ => {
            let config = ResNetConfig::resnet32_wide(10).with_width(width);
            let model: ResNet = config.init(&device).expect("a valid network");
            steps(model, sparsity, optim, batch, |model, (images, labels)| {
                model.loss(images.clone(), labels.clone()).0
            })
        }
    }
}
