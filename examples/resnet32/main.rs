//! Trains a sparse ResNet-32 with ZO-SAM.
//!
//! Without arguments: Fashion-MNIST (a sample that is part of the repository), 90 % sparse RigL, ZO-SAM.
//!
//! ```text
//! cargo run --release --example resnet32
//! cargo run --release --example resnet32 -- --dataset cifar10 --data DIR --out runs/first
//! cargo run --release --example resnet32 -- --help
//! ```

#[path = "../common/mod.rs"]
mod common;

use std::process::ExitCode;

use burn::tensor::{Device, Int, Tensor};
use zosam::models::{ResNet, ResNetConfig, ResNetVariant};
use zosam::tangent::Dual;

use common::args::{Defaults, MethodName, OptimizerName};
use common::{Classifier, Network, NetworkConfig};

fn main() -> ExitCode {
    common::main::<ResNetArgs>()
}

#[derive(Debug, Clone, clap::Args)]
struct ResNetArgs {
    /// Channels of the first stage: 16 is He et al.'s net, 32 that of the sparse-training literature.
    #[arg(long, default_value_t = 16)]
    width: usize,
    /// Layers: 6n + 2.
    #[arg(long, default_value_t = 32)]
    depth: usize,
}

impl Network for ResNetArgs {
    const ABOUT: &'static str = "Train a sparse ResNet with sharpness-aware minimization";
    const NAME: &'static str = "resnet32";
    const DEFAULTS: Defaults = Defaults {
        method: MethodName::Rigl,
        sparsity: 0.9,
        optimizer: OptimizerName::Sgd,
        epochs: [2, 160],
        adamw_lr: [1e-3, 1e-3],
        warmup: 0.0,
        decays_vectors: true,
    };
    type Config = ResNetConfig;

    fn config(&self, [channels, ..]: [usize; 3], classes: usize) -> ResNetConfig {
        let variant = match self.width {
            32 => ResNetVariant::Grasp,
            _ => ResNetVariant::He,
        };
        ResNetConfig::resnet32(classes)
            .with_depth(self.depth)
            .with_width(self.width)
            .with_channels(channels)
            .with_variant(variant)
    }
}

impl NetworkConfig for ResNetConfig {
    type Model = ResNet;

    fn init(&self, device: &Device) -> zosam::Result<ResNet> {
        self.init(device)
    }
}

impl Classifier for ResNet {
    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward(images)
    }

    fn logits_tangent(&self, direction: &Self, images: Tensor<4>) -> Dual<2> {
        self.forward_tangent(direction, images)
    }

    fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>) {
        self.loss(images, labels)
    }

    fn uses(&self, path: &str, size: [usize; 2]) -> Option<u64> {
        self.uses(path, size)
    }
}
