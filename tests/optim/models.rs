//! Every bundled network under everything at once: masks that change, ZO-SAM, a checkpoint in between.

use burn::module::Module;
use burn::optim::{SgdConfig, momentum::MomentumConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use zosam::checkpoint::{Store, fingerprint};
use zosam::models::{
    ImageNetResNet, ImageNetResNetConfig, ResNet, ResNetConfig, Stem, Vgg, VggConfig, WideResNet,
    WideResNetConfig,
};
use zosam::objective::seeded;
use zosam::tree::values;
use zosam::{RigL, Sparsity, ZoSamConfig};

const STEPS: u64 = 6;
const SAVED_AT: u64 = 3;

fn flat<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

/// Trains, saves half-way, resumes in a fresh network, and compares the two ends bit for bit.
fn trains_and_resumes<M: Module>(
    pixels: usize,
    init: impl Fn(&Device) -> zosam::Result<M>,
    loss: fn(&M, Tensor<4>, Tensor<1, Int>) -> (Tensor<1>, Tensor<2>),
) {
    let device = Device::flex().autodiff();
    let start = || {
        let momentum = MomentumConfig::new().with_momentum(0.9);
        let base = SgdConfig::new().with_momentum(Some(momentum)).build();
        let optim = ZoSamConfig::new().init(base).unwrap();
        let sparsity = Sparsity::new(RigL::new(0.8).until(100).every(2));
        let model = seeded(&device, 2, || {
            let model = init(&device).unwrap();
            values(&model);
            model
        });
        (model, optim, sparsity)
    };
    let shape = [4, 3, pixels, pixels];
    let images = || Tensor::<4>::random(shape, Distribution::Default, &device);
    let images = seeded(&device, 1, images);
    let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 0], &device);
    let loss = |model: &M| loss(model, images.clone(), labels.clone());
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();

    let (model, mut optim, mut sparsity) = start();
    let mut model = sparsity.attach(model, loss).unwrap();
    let first_masks = sparsity.masks().fingerprint();
    for step in 0..STEPS {
        if step == SAVED_AT {
            store.save(&model, &optim, &sparsity, &step).unwrap();
        }
        let (next, report) = optim.step_with(0.05, model, &mut sparsity, loss).unwrap();
        assert!(report.loss.into_scalar::<f32>().is_finite());
        model = next;
    }
    assert_ne!(sparsity.masks().fingerprint(), first_masks, "masks change");

    let (fresh, optim, mut sparsity) = start();
    let saved = store.latest().unwrap().unwrap();
    let (mut resumed, mut optim, step) = store
        .load::<_, ZoSamConfig, _, u64>(&saved, fresh, optim, &mut sparsity)
        .unwrap();
    assert_eq!(step, SAVED_AT);
    for _ in step..STEPS {
        (resumed, _) = optim.step_with(0.05, resumed, &mut sparsity, loss).unwrap();
    }
    assert_eq!(fingerprint(&resumed), fingerprint(&model));
}

#[test]
fn resnet() {
    let config = ResNetConfig::resnet32_wide(3).with_depth(8).with_width(4);
    trains_and_resumes(8, |device| config.init(device), ResNet::loss);
}

#[test]
fn vgg() {
    let config = VggConfig::vgg11(3).with_width(2);
    trains_and_resumes(32, |device| config.init(device), Vgg::loss);
}

#[test]
fn wide_resnet_with_dropout() {
    let config = WideResNetConfig::new(10, 2, 3).with_base(4);
    let config = config.with_dropout(0.3);
    trains_and_resumes(8, |device| config.init(device), WideResNet::loss);
}

#[test]
fn imagenet_resnet() {
    let config = ImageNetResNetConfig::resnet50(3).with_width(2);
    let config = config.with_blocks([1, 1, 1, 1]);
    trains_and_resumes(64, |device| config.init(device), ImageNetResNet::loss);
}

#[test]
fn imagenet_resnet_for_small_images() {
    let config = ImageNetResNetConfig::resnet18(3).with_width(2);
    let config = config.with_stem(Stem::Cifar);
    trains_and_resumes(16, |device| config.init(device), ImageNetResNet::loss);
}

#[test]
fn dropout_drops_the_same_with_and_without_tangents() {
    let device = Device::flex().autodiff();
    let config = WideResNetConfig::new(10, 1, 10).with_base(4);
    let (dropping, images) = seeded(&device, 0, || {
        let dropping = config.with_dropout(0.5).init(&device).unwrap();
        values(&dropping); // burn draws weights when they are first used
        let images = Tensor::<4>::random([4, 3, 8, 8], Distribution::Default, &device);
        (dropping, images)
    });
    let forward = |seed| {
        let output = seeded(&device, seed, || dropping.forward(images.clone()));
        flat(&output)
    };
    let tangent = || dropping.forward_tangent(&dropping, images.clone());
    let dual = seeded(&device, 1, tangent);
    for (a, b) in flat(&dual.value).into_iter().zip(forward(1)) {
        // Scaled before instead of after the product with the draw, which may round differently.
        assert!((a - b).abs() < 1e-5, "{a} instead of {b}");
    }
    assert_ne!(forward(1), forward(2), "it drops in training");

    let valid = dropping.valid();
    let inference = |seed| {
        let output = seeded(&device, seed, || valid.forward(images.clone().inner()));
        flat(&output)
    };
    assert_eq!(inference(1), inference(2), "and not in inference");
}
