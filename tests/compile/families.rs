//! The bundled networks.

use burn::tensor::{Device, Tensor};
use zosam::inference::{Arithmetic, SparseNetwork};
use zosam::models::{
    DeitConfig, ImageNetResNetConfig, ResNet, ResNetConfig, ResNetVariant, VggConfig,
    WideResNetConfig,
};

use crate::{agrees, trained};

#[test]
fn resnets() {
    for variant in [ResNetVariant::He, ResNetVariant::Grasp] {
        for (density, [height, width]) in [(1.0, [16, 16]), (0.1, [32, 32]), (0.3, [21, 13])] {
            let config = ResNetConfig::resnet32(10).with_depth(14).with_width(8);
            let config = config.with_variant(variant);
            let model = trained(config.init(&Device::flex()).unwrap(), density);
            let name = format!("{variant:?} {density}");
            agrees(&name, &model, [1, 3, height, width], |m, x| m.forward(x));
        }
    }
}

/// Nothing is put into pieces or taken out of them between two convolutions, also where the image
/// becomes smaller and where every weight of a shortcut lives.
#[test]
fn convolutions_of_a_resnet_stay_in_pieces() {
    let config = ResNetConfig::resnet32(10).with_variant(ResNetVariant::Grasp);
    let model = trained(config.with_depth(8).init(&Device::flex()).unwrap(), 1.0);
    let sample = Tensor::<4>::zeros([1, 3, 32, 32], &Device::flex());
    let network = SparseNetwork::compile(&model, sample, |m: &ResNet, x| m.forward(x)).unwrap();
    let report = network.report();
    let convolutions = report.operations.iter().filter(|one| one.shape.len() == 4);
    let convolutions: Vec<_> = convolutions.filter(|one| one.path.is_some()).collect();
    assert_eq!(convolutions.len(), 9, "{report}");
    for (at, one) in convolutions.into_iter().enumerate() {
        assert_eq!(one.arithmetic, Arithmetic::SparseInPieces, "{report}");
        // The image itself.
        assert_eq!(one.conversions, usize::from(at == 0), "{report}");
    }
}

#[test]
fn vggs() {
    for (density, size) in [(1.0, [16, 16]), (0.1, [19, 34])] {
        let config = VggConfig::vgg19(7).with_depth(11).with_width(8);
        let model = trained(config.init(&Device::flex()).unwrap(), density);
        agrees("VGG", &model, [1, 3, size[0], size[1]], |m, x| m.forward(x));
    }
}

#[test]
fn wide_resnets() {
    for (density, factor) in [(1.0, 1), (0.1, 2)] {
        let config = WideResNetConfig::new(16, factor, 10);
        let model = trained(config.init(&Device::flex()).unwrap(), density);
        agrees("WRN", &model, [1, 3, 15, 22], |m, x| m.forward(x));
    }
}

#[test]
fn imagenet_resnets() {
    for (density, size) in [(1.0, [45, 33]), (0.1, [64, 64])] {
        let config = ImageNetResNetConfig::resnet50(12).with_blocks([1, 2, 1, 1]);
        // Dense products take more outputs than 64.
        let config = config.with_width(20);
        let model = trained(config.init(&Device::flex()).unwrap(), density);
        agrees("ResNet-50", &model, [1, 3, size[0], size[1]], |m, x| {
            m.forward(x)
        });
    }
}

#[test]
fn deits() {
    for (density, distilled) in [(1.0, false), (0.1, true)] {
        let config = DeitConfig::tiny(10).with_image([20, 28]).with_patch(4);
        let config = config.with_width(48, 3).with_depth(3);
        let config = if distilled {
            config.distilled()
        } else {
            config
        };
        let model = trained(config.init(&Device::flex()).unwrap(), density);
        agrees("DeiT", &model, [1, 3, 20, 28], |m, x| m.forward(x));
    }
}
