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

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use burn::tensor::Device;
use clap::ValueEnum;
use zosam::model_file::{load_model_except, shapes};
use zosam::models::{Deit, DeitConfig};

use common::Network;
use common::args::{Defaults, MethodName, OptimizerName};

fn main() -> ExitCode {
    match common::arguments("deit") {
        Ok(arguments) => common::main::<DeitArgs>(arguments),
        Err(error) => common::refused(error),
    }
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
    /// Chance by which the last block is left out while training [default: 0 for mini, otherwise 0.1].
    #[arg(long)]
    drop_path: Option<f64>,
}

impl DeitArgs {
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

impl Network for DeitArgs {
    const ABOUT: &'static str = "Train a sparse DeiT with sharpness-aware minimization";
    const DEFAULTS: Defaults = Defaults {
        method: MethodName::Svite,
        sparsity: 0.5,
        optimizer: OptimizerName::Adamw,
        epochs: [10, 300],
        adamw_lr: [3e-3, 1e-3],
        warmup: 0.05,
        decays_vectors: false,
        image_size: 224,
    };
    type Config = DeitConfig;

    fn config(&self, [channels, height, width]: [usize; 3], classes: usize) -> Result<DeitConfig> {
        let tiny = DeitConfig::tiny(classes);
        let preset = match self.preset {
            Preset::Mini => tiny.with_width(64, 4).with_depth(4).with_drop_path(0.0),
            Preset::Tiny => tiny,
            Preset::Small => DeitConfig::small(classes),
            Preset::Base => DeitConfig::base(classes),
        };
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
}

network!(
    DeitConfig => Deit,
    ["head.", "head_dist."],
    /// Position embeddings for another number of patches are resampled.
    fn load(&self, path: &Path, device: &Device) -> Result<Deit> {
        let shapes = shapes(path)?;
        let tokens = shapes.get("pos_embed").and_then(|shape| shape.get(1));
        let special = 1 + usize::from(shapes.contains_key("dist_token"));
        let patches = tokens.map_or(0, |tokens| tokens.saturating_sub(special));
        let [rows, columns] = self.image.map(|side| side.checked_div(self.patch).unwrap_or(0));
        let kept = self.unfit_classifiers(path)?;
        // A file does not say what grid its patches are of: another number of them is taken for a square's.
        let size = [patches.isqrt() * self.patch; 2];
        if patches == 0 || patches == rows * columns {
            return Ok(load_model_except(path, self.init(device)?, kept)?.0);
        }
        eprintln!("{} is for images of {size:?}: its position embedding is resampled", path.display());
        let model = self.clone().with_image(size).init(device)?;
        Ok(load_model_except(path, model, kept)?.0.resized(self.image)?)
    }
);
