//! The networks and their options.

use anyhow::{Result, bail, ensure};
use zosam::models::{
    ImageNetResNet, ImageNetResNetConfig, ResNet, ResNetConfig, ResNetVariant, Stem, Vgg,
    VggConfig, WideResNet, WideResNetConfig,
};

use crate::common::args::Defaults;
use crate::{Choice, DEFAULTS, Network};

const ABOUT: &str = "Train a sparse convolutional network with sharpness-aware minimization";

macro_rules! options {
    ($name:ident, $width:expr, $width_is:literal, $depth:expr, $depth_is:literal) => {
        #[derive(Debug, Clone, clap::Args)]
        pub struct $name {
            #[command(flatten)]
            choice: Choice,
            #[doc = $width_is]
            #[arg(long, default_value_t = $width)]
            width: usize,
            #[doc = $depth_is]
            #[arg(long, default_value_t = $depth)]
            depth: usize,
        }
    };
}

options!(
    ResNetArgs,
    16,
    "Channels of the first stage: 16 is He et al.'s net, 32 that of the sparse-training literature; wide ResNets: the factor.",
    32,
    "Layers: 6n + 2; VGG 11, 13, 16, 19; wide ResNets 6n + 4; ImageNet's ResNets 18, 34, 50, 101, 152."
);
options!(
    VggArgs,
    64,
    "Channels of the first stage.",
    19,
    "Layers: 11, 13, 16 or 19."
);
options!(
    WideResNetArgs,
    10,
    "Widening factor.",
    28,
    "Layers: 6n + 4."
);
options!(
    ImageNetResNetArgs,
    64,
    "Channels of the first stage.",
    50,
    "Layers: 18, 34, 50, 101 or 152."
);

impl Network for ResNetArgs {
    const ABOUT: &'static str = ABOUT;
    const DEFAULTS: Defaults = DEFAULTS;
    type Config = ResNetConfig;

    fn config(&self, [channels, ..]: [usize; 3], classes: usize) -> Result<ResNetConfig> {
        let variant = match self.width {
            32 => ResNetVariant::Grasp,
            _ => ResNetVariant::He,
        };
        Ok(ResNetConfig::resnet32(classes)
            .with_depth(self.depth)
            .with_width(self.width)
            .with_channels(channels)
            .with_variant(variant))
    }
}

impl Network for VggArgs {
    const ABOUT: &'static str = ABOUT;
    const DEFAULTS: Defaults = DEFAULTS;
    type Config = VggConfig;

    fn config(&self, [channels, height, width]: [usize; 3], classes: usize) -> Result<VggConfig> {
        ensure!(
            height.min(width) >= 16,
            "--network vgg halves images four times: they must be at least 16 × 16, not {height} × {width}"
        );
        Ok(VggConfig::vgg19(classes)
            .with_depth(self.depth)
            .with_width(self.width)
            .with_channels(channels))
    }
}

impl Network for WideResNetArgs {
    const ABOUT: &'static str = ABOUT;
    const DEFAULTS: Defaults = DEFAULTS;
    type Config = WideResNetConfig;

    fn config(&self, [channels, ..]: [usize; 3], classes: usize) -> Result<WideResNetConfig> {
        Ok(WideResNetConfig::new(self.depth, self.width, classes).with_channels(channels))
    }
}

impl Network for ImageNetResNetArgs {
    const ABOUT: &'static str = ABOUT;
    const DEFAULTS: Defaults = DEFAULTS;
    type Config = ImageNetResNetConfig;

    fn config(
        &self,
        [channels, height, width]: [usize; 3],
        classes: usize,
    ) -> Result<ImageNetResNetConfig> {
        let network = match self.depth {
            18 => ImageNetResNetConfig::resnet18(classes),
            34 => ImageNetResNetConfig::resnet34(classes),
            50 => ImageNetResNetConfig::resnet50(classes),
            101 => ImageNetResNetConfig::resnet101(classes),
            152 => ImageNetResNetConfig::resnet152(classes),
            other => bail!("--depth is {other}: it must be 18, 34, 50, 101 or 152"),
        };
        let stem = match height.min(width) < 64 {
            true => Stem::Cifar,
            false => Stem::ImageNet,
        };
        Ok(network
            .with_width(self.width)
            .with_channels(channels)
            .with_stem(stem))
    }
}

crate::network!(ResNetConfig => ResNet, ["linear."]);
crate::network!(VggConfig => Vgg, ["classifier."]);
crate::network!(WideResNetConfig => WideResNet, ["fc."]);
crate::network!(ImageNetResNetConfig => ImageNetResNet, ["fc."]);
