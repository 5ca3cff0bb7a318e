//! Sparse networks for inference against burn's dense ones.
#![cfg(all(feature = "compile", feature = "models"))]

use burn::module::{Module, ParamGroup};
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use zosam::inference::SparseNetwork;
use zosam::masks::Masks;
use zosam::model_file::{load_model, save_model};
use zosam::models::{
    Deit, DeitConfig, ImageNetResNet, ImageNetResNetConfig, ResNet, ResNetConfig, ResNetVariant,
    Stem, Vgg, VggConfig, WideResNet, WideResNetConfig,
};
use zosam::objective::seeded;
use zosam::sparse::Granularity;
use zosam::{RandomStatic, Result, Sparsity};

/// What the tests ask of a family of networks.
trait Family: Module + Sized {
    fn dense(&self, images: Tensor<4>) -> Tensor<2>;
    fn sparse(&self, shape: [usize; 3]) -> Result<SparseNetwork>;
}

macro_rules! family {
    ($($network:ty)*) => {
        $(impl Family for $network {
            fn dense(&self, images: Tensor<4>) -> Tensor<2> {
                self.forward(images)
            }

            fn sparse(&self, [channels, height, width]: [usize; 3]) -> Result<SparseNetwork> {
                let shape = [1, channels, height, width];
                let data = TensorData::new(images(1, [channels, height, width]), shape);
                let sample = Tensor::<4>::from_data(data, &Device::flex());
                SparseNetwork::compile(self, sample, |model, images| model.forward(images))
            }
        })*
    };
}
family!(ResNet Vgg WideResNet ImageNetResNet Deit);

/// Masks a model, shows it a few batches, so that batch norm does something, and ends its training.
fn trained<M: Family>(model: M, shape: [usize; 3], mut sparsity: Sparsity) -> (M, Masks) {
    let device = Device::flex().autodiff();
    let normal = Distribution::Normal(0.3, 1.5);
    let [channels, height, width] = shape;
    let images = || Tensor::random([4, channels, height, width], normal, &device);
    seeded(&device, 11, || {
        let model = sparsity
            .attach(model, |_: &M| Tensor::<1>::zeros([1], &device))
            .unwrap();
        for _ in 0..3 {
            model.dense(images());
        }
        (model.valid(), sparsity.masks().clone())
    })
}

fn random(sparsity: f64) -> Sparsity {
    match sparsity {
        0.0 => Sparsity::dense(),
        _ => Sparsity::new(RandomStatic::new(sparsity)),
    }
}

fn images(count: usize, [channels, height, width]: [usize; 3]) -> Vec<f32> {
    let number = |i: usize| ((i * i * 7919) % 100_003) as f32 / 50_000.0 - 1.0;
    (0..count * channels * height * width).map(number).collect()
}

/// Logits of both, to 1e-5 of the largest: many layers, whose batch norm is a factor of the weights here and a step of its own
/// there. An image alone, and any number of threads, make no difference to the bit.
fn agrees<M: Family>(name: &str, model: &M, shape: [usize; 3]) {
    const COUNT: usize = 6;
    let [channels, height, width] = shape;
    let network = model.sparse(shape).unwrap();
    let images = images(COUNT, shape);
    let data = TensorData::new(images.clone(), [COUNT, channels, height, width]);
    let expected = model.dense(Tensor::from_data(data, &Device::flex()));
    let expected: Vec<f32> = expected.to_data().iter::<f32>().collect();
    let logits = network.logits(&images).unwrap();
    assert_eq!(logits.len(), expected.len());
    let scale = expected
        .iter()
        .fold(0f32, |most, logit| most.max(logit.abs()));
    for (logit, expected) in logits.iter().zip(&expected) {
        let apart = (logit - expected).abs() / scale.max(1e-3);
        assert!(
            apart < 1e-5,
            "{name} {shape:?}: {logit}, {expected}, {scale}"
        );
    }
    let (one, classes) = (images.len() / COUNT, logits.len() / COUNT);
    assert_eq!(network.logits(&images[..one]).unwrap(), logits[..classes]);
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        let alone = || network.logits(&images[one..2 * one]).unwrap();
        assert_eq!(pool.install(alone), logits[classes..2 * classes]);
        assert_eq!(pool.install(|| network.logits(&images)).unwrap(), logits);
    }
    assert!(network.logits(&images[1..]).is_err());
    assert!(network.logits(&[]).unwrap().is_empty());
}

fn resnet(variant: ResNetVariant, channels: usize) -> ResNet {
    let config = ResNetConfig::resnet32(10).with_depth(14).with_width(8);
    let config = config.with_variant(variant).with_channels(channels);
    config.init(&Device::flex().autodiff()).unwrap()
}

/// Both variants, one and three channels, even and odd sizes, from dense to nearly nothing.
#[test]
fn resnets() {
    for variant in [ResNetVariant::He, ResNetVariant::Grasp] {
        for (shape, sparsity) in [
            ([3, 32, 32], 0.9),
            ([3, 16, 16], 0.5),
            ([1, 28, 28], 0.98),
            ([3, 21, 13], 0.8),
            ([3, 21, 13], 0.0),
            ([3, 32, 32], 0.0),
        ] {
            let model = resnet(variant, shape[0]);
            let (model, _) = trained(model, shape, random(sparsity));
            agrees(&format!("{variant:?} {sparsity}"), &model, shape);
        }
    }
}

#[test]
fn vggs() {
    for (depth, shape, sparsity) in [
        (11, [3, 32, 32], 0.9),
        (11, [1, 19, 34], 0.6),
        (13, [3, 16, 16], 0.0),
        (11, [3, 37, 16], 0.97),
    ] {
        let config = VggConfig::vgg19(7).with_depth(depth).with_width(8);
        let config = config.with_channels(shape[0]);
        let model = config.init(&Device::flex().autodiff()).unwrap();
        let (model, _) = trained(model, shape, random(sparsity));
        agrees(&format!("VGG-{depth} {sparsity}"), &model, shape);
    }
}

/// A factor of 1 has no shortcut with weights in the first stage, one of 2 has.
#[test]
fn wide_resnets() {
    for (factor, shape, sparsity) in [
        (1, [3, 32, 32], 0.9),
        (2, [3, 32, 32], 0.9),
        (2, [1, 15, 22], 0.5),
        (1, [3, 9, 9], 0.0),
        (2, [3, 16, 16], 0.97),
    ] {
        let config = WideResNetConfig::new(16, factor, 10).with_channels(shape[0]);
        let model = config.init(&Device::flex().autodiff()).unwrap();
        let (model, _) = trained(model, shape, random(sparsity));
        agrees(&format!("WRN-16-{factor} {sparsity}"), &model, shape);
    }
}

/// Basic blocks and bottlenecks, both stems.
#[test]
fn imagenet_resnets() {
    let basic = ImageNetResNetConfig::resnet18(12);
    let bottleneck = ImageNetResNetConfig::resnet50(12).with_blocks([1, 2, 1, 1]);
    for (config, shape, sparsity) in [
        (basic.clone(), [3, 64, 64], 0.9),
        (bottleneck.clone(), [3, 64, 64], 0.9),
        (bottleneck.clone(), [3, 71, 50], 0.5),
        (bottleneck.clone().with_stem(Stem::Cifar), [1, 17, 17], 0.8),
        (basic.with_stem(Stem::Cifar), [3, 16, 16], 0.0),
        (bottleneck, [3, 45, 33], 0.0),
    ] {
        // Dense products take more outputs than 64.
        let width = if sparsity == 0.0 { 20 } else { 8 };
        let config = config.with_width(width).with_channels(shape[0]);
        let model = config.init(&Device::flex().autodiff()).unwrap();
        let (model, _) = trained(model, shape, random(sparsity));
        agrees(&format!("{config:?} {sparsity}"), &model, shape);
    }
}

/// With and without a distillation token, numbers of tokens on either side of whole vectors.
#[test]
fn deits() {
    for (image, patch, distilled, sparsity) in [
        ([32, 32], 8, false, 0.9),
        ([32, 32], 8, true, 0.5),
        ([20, 28], 4, true, 0.8),
        ([24, 16], 8, false, 0.0),
        ([8, 8], 8, true, 0.97),
    ] {
        let config = DeitConfig::tiny(10).with_image(image).with_patch(patch);
        let config = config.with_width(48, 3).with_depth(3);
        let config = if distilled {
            config.distilled()
        } else {
            config
        };
        let mut model = config.init(&Device::flex().autodiff()).unwrap();
        // Larger weights than the first ones, so that attention is not even and GELU not a line.
        model = model.map(&mut Scaled(4.0));
        let shape = [3, image[0], image[1]];
        let (model, _) = trained(model, shape, random(sparsity));
        agrees(&format!("DeiT {sparsity} {distilled}"), &model, shape);
        assert!(model.sparse([3, image[0], image[1] + patch]).is_err());
        let resized = model.resized([image[0], image[1] + patch]).unwrap();
        agrees("resized", &resized, [3, image[0], image[1] + patch]);
    }
}

/// Multiplies every float.
struct Scaled(f64);

impl burn::module::ModuleMapper for Scaled {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match tensor.is_autodiff() {
            true => Tensor::from_inner(tensor.inner() * self.0).set_require_grad(true),
            false => tensor * self.0,
        };
        burn::module::Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Weights that live in units take the same path; output channels may die as a whole.
#[test]
fn structured_masks() {
    let granularities = [
        Granularity::NOfM { live: 2, of: 4 },
        Granularity::Block {
            outputs: 4,
            inputs: 4,
        },
        Granularity::OutputChannel,
    ];
    for granularity in granularities {
        let blocks = ParamGroup::from_predicate("layer");
        let sparsity = random(0.5).with_granularity(blocks, granularity);
        let shape = [3, 16, 16];
        let (model, _) = trained(resnet(ResNetVariant::Grasp, 3), shape, sparsity);
        agrees(&format!("{granularity:?}"), &model, shape);

        let blocks = ParamGroup::from_predicate("blocks");
        let sparsity = random(0.5).with_granularity(blocks, granularity);
        let config = DeitConfig::tiny(10).with_image([16, 16]).with_patch(4);
        let config = config.with_width(48, 3).with_depth(2);
        let model = config.init(&Device::flex().autodiff()).unwrap();
        let (model, _) = trained(model.map(&mut Scaled(4.0)), shape, sparsity);
        agrees(&format!("DeiT {granularity:?}"), &model, shape);
    }
}

/// No weight at all: what biases and shortcuts leave.
#[test]
fn nothing_lives() {
    let shape = [3, 16, 16];
    let (model, _) = trained(resnet(ResNetVariant::Grasp, 3), shape, random(0.0));
    let model = model.map(&mut Scaled(0.0));
    let network = model.sparse(shape).unwrap();
    assert_eq!(network.live(), 0);
    let logits = network.logits(&images(2, shape)).unwrap();
    assert!(logits.iter().all(|logit| *logit == 0.0), "{logits:?}");
}

/// A network of the crate's own file is the network that was saved.
#[test]
fn from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deit.safetensors");
    let config = DeitConfig::tiny(10).with_image([16, 16]).with_patch(4);
    let config = config.with_width(16, 2).with_depth(2).distilled();
    let model = config.init(&Device::flex().autodiff()).unwrap();
    let (model, masks) = trained(model, [3, 16, 16], random(0.8));
    save_model(&path, &model, &masks).unwrap();
    let (loaded, _) = load_model(&path, config.init(&Device::flex()).unwrap()).unwrap();
    let images = images(3, [3, 16, 16]);
    let logits = |model: &Deit| model.sparse([3, 16, 16]).unwrap().logits(&images);
    assert_eq!(logits(&loaded).unwrap(), logits(&model).unwrap());
}

/// Weights, biases and nothing else: 8 bytes for a live weight, and room for rows.
#[test]
fn memory_follows_the_live_weights() {
    let network = |sparsity| {
        let (model, _) = trained(
            resnet(ResNetVariant::Grasp, 3),
            [3, 16, 16],
            random(sparsity),
        );
        model.sparse([3, 32, 32]).unwrap()
    };
    let (dense, sparse) = (network(0.0), network(0.95));
    assert!(
        sparse.live() * 19 < dense.live(),
        "{} {}",
        sparse.live(),
        dense.live()
    );
    let overhead = 10_000;
    assert!(
        sparse.bytes() <= 8 * sparse.live() + overhead,
        "{}",
        sparse.bytes()
    );
}

/// Linear layers whose weights all live keep no places: 4 bytes a weight, and what is no weight.
#[test]
fn dense_layers_keep_no_places() {
    let config = DeitConfig::tiny(10).with_image([16, 16]).with_patch(4);
    let model = config.with_width(48, 3).with_depth(2).init(&Device::flex());
    let dense = model.unwrap().sparse([3, 16, 16]).unwrap();
    let overhead = 12_000;
    assert!(
        dense.bytes() <= 4 * dense.live() + overhead,
        "{}",
        dense.bytes()
    );
}

#[test]
fn other_sizes_are_refused() {
    let model = resnet(ResNetVariant::He, 3).valid();
    assert!(model.sparse([1, 32, 32]).is_err());
    let network = model.sparse([3, 32, 32]).unwrap();
    assert!(network.logits(&[0.0; 100]).is_err());
    let vgg = VggConfig::vgg11(10)
        .with_width(4)
        .init(&Device::flex())
        .unwrap();
    assert!(vgg.sparse([3, 15, 32]).is_err());
}
