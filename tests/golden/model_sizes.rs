//! How many weights and multiply-adds the published networks have, and what torchvision calls their tensors.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use zosam::compile::Uses;
use zosam::models::{ImageNetResNetConfig, Stem, VggConfig, WideResNetConfig};
use zosam::{Error, tree};

use crate::reference::{read, torch_name};

/// Parameters of a network.
fn parameters<M: Module>(model: &M) -> usize {
    tree::leaves(model).iter().map(|leaf| leaf.len()).sum()
}

/// Multiply-adds of an image, recorded and not run. Every weight of a layer has a use, and nothing else has.
fn multiply_adds<M: Module>(
    model: &M,
    side: usize,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<2>,
) -> u64 {
    let images = Tensor::<4>::zeros([1, 3, side, side], &Device::flex());
    let uses = Uses::of(model, images, forward).unwrap();
    let mut multiply_adds = 0;
    for leaf in tree::leaves(model) {
        match leaf.shape.len() {
            1 => assert_eq!(uses.of_path(&leaf.path), None),
            _ => multiply_adds += leaf.len() as u64 * uses.of_path(&leaf.path).unwrap(),
        }
    }
    assert_eq!(uses.of_path("layer9.0.conv1"), None);
    assert_eq!(uses.between_activations(), 0);
    multiply_adds
}

/// With 10 and with 100 classes. VGG-19's are GraSP's network's.
#[test]
fn vggs() {
    let device = Device::flex().autodiff();
    let parameters = |config: VggConfig| parameters(&config.init(&device).unwrap());
    for (config, expected) in [
        (
            VggConfig::vgg11 as fn(usize) -> VggConfig,
            [9_228_362, 9_274_532],
        ),
        (VggConfig::vgg13, [9_413_066, 9_459_236]),
        (VggConfig::vgg16, [14_724_042, 14_770_212]),
        (VggConfig::vgg19, [20_035_018, 20_081_188]),
    ] {
        assert_eq!(
            [10, 100].map(|classes| parameters(config(classes))),
            expected
        );
    }
    let model = VggConfig::vgg19(10).init(&device).unwrap();
    let found = multiply_adds(&model, 32, |model, images| model.forward(images));
    assert_eq!(found, 398_136_320);
}

/// With 10 and with 100 classes. In the literature: 36.5 M, 11.0 M, 8.9 M, 1.5 M and 1.1 M with 10.
#[test]
fn wide_resnets() {
    let device = Device::flex().autodiff();
    for (depth, factor, expected) in [
        (28, 10, [36_479_194, 36_536_884]),
        (16, 8, [10_961_370, 11_007_540]),
        (40, 4, [8_949_210, 8_972_340]),
        (28, 2, [1_467_610, 1_479_220]),
        (22, 2, [1_079_642, 1_091_252]),
    ] {
        let parameters = |classes| {
            let config = WideResNetConfig::new(depth, factor, classes);
            parameters(&config.init(&device).unwrap())
        };
        assert_eq!([10, 100].map(parameters), expected);
    }
    let model = WideResNetConfig::wrn_28_10(10).init(&device).unwrap();
    let found = multiply_adds(&model, 32, |model, images| model.forward(images));
    assert_eq!(found, 5_243_328_768);
}

/// The published sizes, and multiply-adds for 224 × 224 and, where rounding matters, 97 × 97 pixels, counted by hooks on
/// torchvision's networks.
#[test]
fn imagenet_resnets() {
    let device = Device::flex().autodiff();
    for (config, count, even, odd) in [
        (
            ImageNetResNetConfig::resnet18(1000),
            11_689_512,
            1_814_073_344,
            440_843_456,
        ),
        (
            ImageNetResNetConfig::resnet34(1000),
            21_797_672,
            3_663_761_408,
            893_312_192,
        ),
        (
            ImageNetResNetConfig::resnet50(1000),
            25_557_032,
            4_089_184_256,
            996_519_104,
        ),
        (
            ImageNetResNetConfig::resnet101(1000),
            44_549_160,
            7_801_405_440,
            1_924_574_400,
        ),
        (
            ImageNetResNetConfig::resnet152(1000),
            60_192_808,
            11_513_626_624,
            2_822_548_672,
        ),
    ] {
        let model = config.init(&device).unwrap();
        let of = |side| multiply_adds(&model, side, |model, images| model.forward(images));
        assert_eq!((parameters(&model), of(224), of(97)), (count, even, odd));
    }
}

/// torchvision's networks with a 3×3 convolution of stride 1 and no pooling, and 10 classes.
#[test]
fn imagenet_resnets_for_small_images() {
    let device = Device::flex().autodiff();
    for (config, expected) in [
        (
            ImageNetResNetConfig::resnet18(10),
            (11_173_962, 555_422_720),
        ),
        (
            ImageNetResNetConfig::resnet50(10),
            (23_520_842, 1_297_829_888),
        ),
    ] {
        let model = config.with_stem(Stem::Cifar).init(&device).unwrap();
        let found = multiply_adds(&model, 32, |model, images| model.forward(images));
        assert_eq!((parameters(&model), found), expected);
    }
}

#[test]
fn paths_are_the_keys_of_torchvision() {
    let golden: BTreeMap<String, BTreeMap<String, Vec<usize>>> = read("torchvision");
    for (name, expected) in golden {
        let config = match name.as_str() {
            "resnet18" => ImageNetResNetConfig::resnet18(1000),
            "resnet34" => ImageNetResNetConfig::resnet34(1000),
            "resnet50" => ImageNetResNetConfig::resnet50(1000),
            "resnet101" => ImageNetResNetConfig::resnet101(1000),
            _ => ImageNetResNetConfig::resnet152(1000),
        };
        let model = config.init(&Device::flex().autodiff()).unwrap();
        let tensors = tree::named_tensors(&model).into_iter();
        let ours = tensors.map(|(path, data)| {
            let mut shape: Vec<usize> = data.shape().iter().copied().collect();
            if shape.len() == 2 {
                shape.reverse();
            }
            (torch_name(&path), shape)
        });
        assert_eq!(ours.collect::<BTreeMap<_, _>>(), expected, "{name}");
    }
}

#[test]
fn impossible_configurations_are_errors_that_name_the_field() {
    let device = Device::flex().autodiff();
    let field = |error: Error| match error {
        Error::Config { field, .. } => field,
        other => panic!("{other} is no configuration error"),
    };
    let vgg = |config: VggConfig| field(config.init(&device).unwrap_err());
    assert_eq!(vgg(VggConfig::vgg19(10).with_depth(18)), "depth");
    assert_eq!(vgg(VggConfig::vgg19(10).with_width(0)), "width");
    assert_eq!(vgg(VggConfig::vgg19(0)), "classes");
    assert_eq!(vgg(VggConfig::vgg19(10).with_channels(0)), "channels");

    let wide = |config: WideResNetConfig| field(config.init(&device).unwrap_err());
    let small = WideResNetConfig::new(10, 1, 10);
    assert_eq!(wide(WideResNetConfig::new(4, 1, 10)), "depth");
    assert_eq!(wide(WideResNetConfig::new(29, 1, 10)), "depth");
    assert_eq!(wide(WideResNetConfig::new(10, 0, 10)), "factor");
    assert_eq!(wide(small.clone().with_base(0)), "base");
    for dropout in [1.0, -0.1, f64::NAN, f64::INFINITY] {
        assert_eq!(wide(small.clone().with_dropout(dropout)), "dropout");
    }

    let resnet = |config: ImageNetResNetConfig| field(config.init(&device).unwrap_err());
    let small = ImageNetResNetConfig::resnet18(10);
    assert_eq!(resnet(small.clone().with_blocks([1, 1, 0, 1])), "blocks");
    assert_eq!(resnet(small.clone().with_width(0)), "width");
}

/// The smallest images that the docs allow, and sides that differ.
#[test]
fn images_of_unusual_size() {
    let device = Device::flex().autodiff();
    let images = |height, width| Tensor::<4>::ones([1, 3, height, width], &device);
    let vgg = VggConfig::vgg11(2).with_width(1).init(&device).unwrap();
    assert_eq!(vgg.forward(images(16, 35)).dims(), [1, 2]);
    let wide = WideResNetConfig::new(10, 1, 2).with_base(1);
    let wide = wide.init(&device).unwrap();
    assert_eq!(wide.forward(images(4, 7)).dims(), [1, 2]);
    let resnet = ImageNetResNetConfig::resnet50(2).with_width(1);
    let resnet = resnet.init(&device).unwrap();
    assert_eq!(resnet.forward(images(33, 64)).dims(), [1, 2]);
}
