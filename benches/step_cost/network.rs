//! The networks that a step is measured on.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use zosam::models::{Deit, DeitConfig, ResNet, ResNetConfig};

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them at a time")]
pub enum Network {
    ResNet(ResNet),
    Deit(Deit),
}

impl Network {
    /// A network for ten classes, by its name; the width is a resnet's.
    pub fn new(name: &str, width: usize, device: &Device) -> Self {
        device.seed(0);
        let deit = |config: DeitConfig| Self::Deit(config.init(device).expect("valid"));
        let network = match name {
            "resnet32" => {
                let config = ResNetConfig::resnet32(10).with_width(width);
                Self::ResNet(config.init(device).expect("valid"))
            }
            "deit-tiny" => deit(DeitConfig::tiny(10)),
            "deit-small" => deit(DeitConfig::small(10)),
            other => panic!("no network `{other}`: resnet32, deit-tiny or deit-small"),
        };
        network.train()
    }

    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::ResNet(network) => network.forward(images),
            Self::Deit(network) => network.forward(images),
        }
    }
}

/// Height and width of the images that it takes.
pub fn image(name: &str) -> [usize; 2] {
    match name {
        "resnet32" => [32, 32],
        _ => [224, 224],
    }
}
