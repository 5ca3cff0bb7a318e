//! Trains a sparse DeiT with ZO-SAM.
//!
//! Without arguments: Fashion-MNIST (a sample that is part of the repository), a small DeiT, SViTE at 50 %, AdamW.
//!
//! ```text
//! cargo run --release --example deit
//! cargo run --release --example deit -- --dataset cifar10 --data DIR --preset tiny --patch 4 --out runs/deit
//! cargo run --release --example deit -- --help
//! ```

#[path = "../common/mod.rs"]
mod common;

use std::process::ExitCode;

use burn::tensor::{Device, Int, Tensor};
use clap::ValueEnum;
use zosam::models::{Deit, DeitConfig};
use zosam::tangent::Dual;

use common::args::{Defaults, MethodName, OptimizerName};
use common::{Classifier, Network, NetworkConfig};

fn main() -> ExitCode {
    common::main::<DeitArgs>()
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preset {
    /// 64 wide, 4 blocks, 4 heads.
    Mini,
    Tiny,
    Small,
    Base,
}

#[derive(Debug, Clone, clap::Args)]
struct DeitArgs {
    /// Width, depth and heads.
    #[arg(long, value_enum, default_value_t = Preset::Mini)]
    preset: Preset,
    /// Height and width of a patch [default: the largest of 16, 8, 7, 4, 2 that makes at least 36 patches].
    #[arg(long)]
    patch: Option<usize>,
    /// Width of the tokens.
    #[arg(long)]
    width: Option<usize>,
    /// Number of blocks.
    #[arg(long)]
    depth: Option<usize>,
    /// Heads of each attention.
    #[arg(long)]
    heads: Option<usize>,
    /// Chance by which the last block is left out while training [default: 0 for mini, otherwise 0.1].
    #[arg(long)]
    drop_path: Option<f64>,
}

impl DeitArgs {
    fn patch_of(&self, height: usize, width: usize) -> usize {
        let whole = |patch: &usize| {
            let divides = height.is_multiple_of(*patch) && width.is_multiple_of(*patch);
            divides && (height / patch) * (width / patch) >= 36
        };
        let sizes = [16, 8, 7, 4, 2];
        self.patch
            .unwrap_or_else(|| sizes.into_iter().find(whole).unwrap_or(1))
    }
}

impl Network for DeitArgs {
    const ABOUT: &'static str = "Train a sparse DeiT with sharpness-aware minimization";
    const NAME: &'static str = "deit";
    const DEFAULTS: Defaults = Defaults {
        method: MethodName::Svite,
        sparsity: 0.5,
        optimizer: OptimizerName::Adamw,
        epochs: [10, 300],
        adamw_lr: [3e-3, 1e-3],
        warmup: 0.05,
        decays_vectors: false,
    };
    type Config = DeitConfig;

    fn config(&self, [channels, height, width]: [usize; 3], classes: usize) -> DeitConfig {
        let tiny = DeitConfig::tiny(classes);
        let preset = match self.preset {
            Preset::Mini => tiny.with_width(64, 4).with_depth(4).with_drop_path(0.0),
            Preset::Tiny => tiny,
            Preset::Small => DeitConfig::small(classes),
            Preset::Base => DeitConfig::base(classes),
        };
        let (wide, heads) = (preset.width, preset.heads);
        let (depth, drop_path) = (preset.depth, preset.drop_path);
        preset
            .with_image([height, width])
            .with_channels(channels)
            .with_patch(self.patch_of(height, width))
            .with_width(self.width.unwrap_or(wide), self.heads.unwrap_or(heads))
            .with_depth(self.depth.unwrap_or(depth))
            .with_drop_path(self.drop_path.unwrap_or(drop_path))
    }
}

impl NetworkConfig for DeitConfig {
    type Model = Deit;

    fn init(&self, device: &Device) -> zosam::Result<Deit> {
        self.init(device)
    }
}

impl Classifier for Deit {
    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward(images)
    }

    fn logits_tangent(&self, direction: &Self, images: Tensor<4>) -> Dual<2> {
        self.forward_tangent(direction, images)
    }

    fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>) {
        self.loss(images, labels)
    }

    fn uses(&self, path: &str, _size: [usize; 2]) -> Option<u64> {
        self.uses(path)
    }
}
