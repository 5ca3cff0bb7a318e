//! Trains a sparse ResNet-32 with ZO-SAM, or another convolutional network.
//!
//! Without arguments: Fashion-MNIST (a sample that is part of the repository), 90 % sparse RigL, ZO-SAM.
//!
//! ```text
//! cargo run --release --example resnet32
//! cargo run --release --example resnet32 -- --dataset cifar10 --data DIR --out runs/first
//! cargo run --release --example resnet32 -- --network vgg --dataset cifar10 --data DIR
//! cargo run --release --example resnet32 -- --help
//! ```

#[path = "../common/mod.rs"]
mod common;
mod networks;

use std::process::ExitCode;

use clap::ValueEnum;

use common::args::{Defaults, MethodName, OptimizerName};
use common::{Network, main as train};
use networks::{ImageNetResNetArgs, ResNetArgs, VggArgs, WideResNetArgs};

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum NetworkName {
    /// He et al.'s for small images, ResNet-32 by default.
    #[default]
    Resnet,
    /// VGG-19 and its relatives with one linear layer.
    Vgg,
    /// WRN-28-10 and its relatives.
    WideResnet,
    /// ResNet-18 to ResNet-152 as in torchvision; below 64 pixels with a stem for small images.
    ImagenetResnet,
}

/// What all networks of this program have.
#[derive(Debug, Clone, clap::Args)]
struct Choice {
    /// The network.
    #[arg(long, value_enum, default_value_t)]
    network: NetworkName,
}

const DEFAULTS: Defaults = Defaults {
    method: MethodName::Rigl,
    sparsity: 0.9,
    optimizer: OptimizerName::Sgd,
    epochs: [2, 160],
    adamw_lr: [1e-3, 1e-3],
    warmup: 0.0,
    decays_vectors: true,
    image_size: 32,
};

fn main() -> ExitCode {
    let arguments = match common::arguments("resnet32") {
        Ok(arguments) => arguments,
        Err(error) => return common::refused(error),
    };
    match chosen(&arguments) {
        NetworkName::Resnet => train::<ResNetArgs>(arguments),
        NetworkName::Vgg => train::<VggArgs>(arguments),
        NetworkName::WideResnet => train::<WideResNetArgs>(arguments),
        NetworkName::ImagenetResnet => train::<ImageNetResNetArgs>(arguments),
    }
}

/// The network that the command line names last; what is wrong with it is found when all of it is parsed.
fn chosen(arguments: &[String]) -> NetworkName {
    let named = arguments
        .iter()
        .enumerate()
        .rev()
        .find_map(|(i, argument)| match argument.strip_prefix("--network")? {
            "" => arguments.get(i + 1).map(String::as_str),
            rest => rest.strip_prefix('='),
        });
    let name = named.and_then(|name| NetworkName::from_str(name, false).ok());
    name.unwrap_or_default()
}
