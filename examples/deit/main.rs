//! Trains a sparse DeiT with ZO-SAM.
//!
//! Without arguments: Fashion-MNIST (a sample that is part of the repository), a small DeiT, SViTE at 50 %, AdamW.
//!
//! ```text
//! cargo run --release --example deit
//! cargo run --release --example deit -- train --dataset cifar10 --data DIR --preset tiny --patch 4 --out runs/deit
//! cargo run --release --example deit -- --help
//! ```

#[path = "../common/mod.rs"]
mod common;

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use zosam::model_file::{Card, Configuration};
use zosam::models::{Deit, DeitConfig};

use common::args::{Defaults, MethodName, OptimizerName};
use common::{Program, Task, agree};

fn main() -> ExitCode {
    common::main::<Deits>()
}

/// The program's networks.
#[derive(Debug)]
struct Deits;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preset {
    /// 64 wide, 4 blocks, 4 heads.
    Mini,
    Tiny,
    Small,
    Base,
}

#[derive(Debug, Clone, clap::Args)]
struct Options {
    /// Width, depth and heads [default: mini].
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Height and width of a patch [default: the largest up to 16 that makes at least 36 patches].
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
    /// Chance by which the last block is left out while training [default: 0 for mini, else 0.1].
    #[arg(long, hide_short_help = true)]
    drop_path: Option<f64>,
}

impl Preset {
    fn config(self, classes: usize) -> DeitConfig {
        let tiny = DeitConfig::tiny(classes);
        match self {
            Self::Mini => tiny.with_width(64, 4).with_depth(4).with_drop_path(0.0),
            Self::Tiny => tiny,
            Self::Small => DeitConfig::small(classes),
            Self::Base => DeitConfig::base(classes),
        }
    }
}

impl Options {
    fn config(&self, [channels, height, width]: [usize; 3], classes: usize) -> Result<DeitConfig> {
        let preset = self.preset.unwrap_or(Preset::Mini).config(classes);
        let (wide, heads) = (preset.width, preset.heads);
        let (depth, drop_path) = (preset.depth, preset.drop_path);
        Ok(preset
            .with_image([height, width])
            .with_channels(channels)
            .with_patch(self.patch_of(height, width)?)
            .with_width(self.width.unwrap_or(wide), self.heads.unwrap_or(heads))
            .with_depth(self.depth.unwrap_or(depth))
            .with_drop_path(self.drop_path.unwrap_or(drop_path)))
    }

    fn patch_of(&self, height: usize, width: usize) -> Result<usize> {
        if let Some(patch) = self.patch {
            return Ok(patch);
        }
        let fits = |patch: &usize| {
            let divides = height.is_multiple_of(*patch) && width.is_multiple_of(*patch);
            divides && (height / patch) * (width / patch) >= 36
        };
        // Attention takes memory by the square of the patches: a patch for each pixel is for small images only.
        let single = (height * width <= 1024).then_some(1);
        let patch = (2..=16).rev().find(fits).or(single);
        patch.with_context(|| {
            format!(
                "no patch of 2 to 16 pixels divides images of {height} × {width} into 36 or more: choose another --image-size, or --patch"
            )
        })
    }
}

impl Program for Deits {
    const NAME: &'static str = "deit";
    const ABOUT: &'static str =
        "Train sparse DeiTs with sharpness-aware minimization, and use them";
    const DEFAULTS: Defaults = Defaults {
        method: MethodName::Svite,
        sparsity: 0.5,
        optimizer: OptimizerName::Adamw,
        epochs: [7, 300],
        adamw_lr: [3e-3, 1e-3],
        warmup: 0.05,
        decays_vectors: false,
        image_size: 224,
    };
    type Options = Options;

    fn by_options(
        options: &Options,
        image: [usize; 3],
        classes: usize,
        task: impl Task,
    ) -> Result<()> {
        task.run(options.config(image, classes)?)
    }

    /// The rate of stochastic depth is training's, and may be another than the file's.
    fn by_card(options: &Options, card: &Card, task: impl Task) -> Result<()> {
        let family = card.family();
        ensure!(
            family == DeitConfig::FAMILY,
            "the file's network is of family `{family}`, which this program does not know: try the example resnet32"
        );
        let config: DeitConfig = card.config()?;
        let preset = options.preset.map(|preset| preset.config(config.classes));
        let preset = preset.as_ref();
        let width = options.width.or(preset.map(|preset| preset.width));
        let depth = options.depth.or(preset.map(|preset| preset.depth));
        let heads = options.heads.or(preset.map(|preset| preset.heads));
        agree("--patch", options.patch, Some(config.patch))?;
        agree("the width", width, Some(config.width))?;
        agree("the depth", depth, Some(config.depth))?;
        agree("the number of heads", heads, Some(config.heads))?;
        let drop_path = options.drop_path.unwrap_or(config.drop_path);
        task.run(config.with_drop_path(drop_path))
    }
}

network!(
    DeitConfig => Deit,
    |self, image, classes| Self {
        classes,
        channels: image[0],
        image: [image[1], image[2]],
        ..self
    }
);
