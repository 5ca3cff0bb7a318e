//! The networks and their options.

use std::fmt::{self, Display};

use anyhow::{Result, bail, ensure};
use clap::ValueEnum;
use serde_json::Value;
use zosam::model_file::{Card, Configuration};
use zosam::models::{
    BlockKind, ImageNetResNet, ImageNetResNetConfig, ResNet, ResNetConfig, ResNetVariant, Stem,
    Vgg, VggConfig, WideResNet, WideResNetConfig,
};

use crate::common::args::{Defaults, MethodName, OptimizerName};
use crate::common::{Program, Task, agree};

/// The program's networks.
#[derive(Debug)]
pub struct ResNets;

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub enum Family {
    /// He et al.'s for small images, ResNet-32 by default.
    Resnet,
    /// VGG-19 and its relatives with one linear layer.
    Vgg,
    /// WRN-28-10 and its relatives.
    WideResnet,
    /// ResNet-18 to ResNet-152 as in torchvision; below 64 pixels with a stem for small images.
    ImagenetResnet,
}

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The network [default: resnet].
    #[arg(long, value_enum)]
    network: Option<Family>,
    /// Layers [default: resnet 32, vgg 19, wide-resnet 28, imagenet-resnet 50].
    ///
    /// ResNets 6n + 2; VGG 11, 13, 16, 19; wide ResNets 6n + 4; ImageNet's ResNets 18, 34, 50, 101, 152.
    #[arg(long)]
    depth: Option<usize>,
    /// Channels of the first stage [default: resnet 16, vgg and imagenet-resnet 64]; wide-resnet: the factor [10].
    ///
    /// A resnet of width 16 is He et al.'s, one of width 32 that of the sparse-training literature.
    #[arg(long)]
    width: Option<usize>,
}

impl Program for ResNets {
    const NAME: &'static str = "resnet32";
    const ABOUT: &'static str =
        "Train sparse convolutional networks with sharpness-aware minimization, and use them";
    const DEFAULTS: Defaults = Defaults {
        method: MethodName::Rigl,
        sparsity: 0.9,
        optimizer: OptimizerName::Sgd,
        epochs: [10, 160],
        adamw_lr: [1e-3, 1e-3],
        warmup: 0.0,
        decays_vectors: true,
        image_size: 32,
    };
    type Options = Options;

    fn by_options(
        options: &Options,
        image: [usize; 3],
        classes: usize,
        task: impl Task,
    ) -> Result<()> {
        match options.network.unwrap_or(Family::Resnet) {
            Family::Resnet => task.run(options.resnet(image, classes)),
            Family::Vgg => task.run(options.vgg(image, classes)?),
            Family::WideResnet => task.run(options.wide_resnet(image, classes)),
            Family::ImagenetResnet => task.run(options.imagenet_resnet(image, classes)?),
        }
    }

    fn by_card(options: &Options, card: &Card, task: impl Task) -> Result<()> {
        let Some(family) = Family::of(card) else {
            let family = card.family();
            bail!(
                "the file's network is of family `{family}`, which this program does not know: try the example of that name"
            );
        };
        agree("--network", options.network, Some(family))?;
        agree("--depth", options.depth, depth(card))?;
        agree("--width", options.width, width(card))?;
        match family {
            Family::Resnet => task.run(card.config::<ResNetConfig>()?),
            Family::Vgg => task.run(card.config::<VggConfig>()?),
            Family::WideResnet => task.run(card.config::<WideResNetConfig>()?),
            Family::ImagenetResnet => task.run(card.config::<ImageNetResNetConfig>()?),
        }
    }
}

impl Family {
    fn of(card: &Card) -> Option<Self> {
        match card.family() {
            ResNetConfig::FAMILY => Some(Self::Resnet),
            VggConfig::FAMILY => Some(Self::Vgg),
            WideResNetConfig::FAMILY => Some(Self::WideResnet),
            ImageNetResNetConfig::FAMILY => Some(Self::ImagenetResnet),
            _ => None,
        }
    }
}

impl Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Layers of a file's network.
fn depth(card: &Card) -> Option<usize> {
    if let Ok(config) = card.config::<ImageNetResNetConfig>() {
        let per_block = match config.kind {
            BlockKind::Basic => 2,
            BlockKind::Bottleneck => 3,
        };
        return Some(per_block * config.blocks.iter().sum::<usize>() + 2);
    }
    size(&card.config_json()["depth"])
}

/// Width, or factor, of a file's network.
fn width(card: &Card) -> Option<usize> {
    let config = card.config_json();
    size(&config["width"]).or_else(|| size(&config["factor"]))
}

fn size(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

impl Options {
    fn resnet(&self, [channels, ..]: [usize; 3], classes: usize) -> ResNetConfig {
        let width = self.width.unwrap_or(16);
        let variant = match width {
            32 => ResNetVariant::Grasp,
            _ => ResNetVariant::He,
        };
        ResNetConfig::resnet32(classes)
            .with_depth(self.depth.unwrap_or(32))
            .with_width(width)
            .with_channels(channels)
            .with_variant(variant)
    }

    fn vgg(&self, [channels, height, width]: [usize; 3], classes: usize) -> Result<VggConfig> {
        ensure!(
            height.min(width) >= 16,
            "--network vgg halves images four times: they must be at least 16 × 16, not {height} × {width}"
        );
        Ok(VggConfig::vgg19(classes)
            .with_depth(self.depth.unwrap_or(19))
            .with_width(self.width.unwrap_or(64))
            .with_channels(channels))
    }

    fn wide_resnet(&self, [channels, ..]: [usize; 3], classes: usize) -> WideResNetConfig {
        let (depth, factor) = (self.depth.unwrap_or(28), self.width.unwrap_or(10));
        WideResNetConfig::new(depth, factor, classes).with_channels(channels)
    }

    fn imagenet_resnet(
        &self,
        [channels, height, width]: [usize; 3],
        classes: usize,
    ) -> Result<ImageNetResNetConfig> {
        let network = match self.depth.unwrap_or(50) {
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
            .with_width(self.width.unwrap_or(64))
            .with_channels(channels)
            .with_stem(stem))
    }
}

macro_rules! by_channels {
    ($($config:ty => $model:ty;)*) => {$(
        crate::network!(
            $config => $model,
            |self, image, classes| Self { classes, channels: image[0], ..self }
        );
    )*};
}

by_channels! {
    ResNetConfig => ResNet;
    VggConfig => Vgg;
    WideResNetConfig => WideResNet;
    ImageNetResNetConfig => ImageNetResNet;
}
