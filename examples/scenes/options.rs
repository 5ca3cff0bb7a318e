//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::fit::FitArgs;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TaskName {
    /// The class of each pixel, by a U-Net; scores are the mean intersection over union and the share of right pixels.
    Segment,
    /// Boxes, by their centres; scores are COCO's average precision at overlaps from 0.5 to 0.95 and at 0.5.
    Detect,
}

#[derive(Debug, Parser)]
#[command(
    name = "scenes",
    about = "Train sparse networks with sharpness-aware minimization to find items in scenes made from Fashion-MNIST",
    version
)]
pub struct Options {
    #[arg(long, value_enum, default_value_t = TaskName::Segment)]
    pub task: TaskName,
    /// Channels at the network's highest level; each of the three below has twice as many.
    #[arg(long, default_value_t = const { NonZeroUsize::new(8).unwrap() })]
    pub width: NonZeroUsize,
    /// Scenes for training, made from training images.
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub scenes: usize,
    /// Scenes for testing, made from test images.
    #[arg(long, value_name = "N", default_value_t = const { NonZeroUsize::new(200).unwrap() })]
    pub test_scenes: NonZeroUsize,
    /// Seed of the scenes, which are the same in all runs.
    #[arg(long, default_value_t = 42)]
    pub data_seed: u64,
    /// A new folder for metrics, pictures of predictions and the model, of each seed.
    #[arg(long, value_name = "DIR", help_heading = "Program")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub fit: FitArgs,
}
