//! The options of a training run.

use std::num::{NonZeroU64, NonZeroUsize};

use anyhow::{Result, ensure};
use clap::{CommandFactory, FromArgMatches};

use crate::common::names::DeviceName;
use crate::common::sharpness::SharpnessArgs;
use crate::common::sparse_args::SparseArgs;

/// How a network is trained, and how often.
#[derive(Debug, Clone, clap::Args)]
pub struct FitArgs {
    /// Runs, each with a seed of its own.
    #[arg(long, value_name = "N", default_value_t = NonZeroU64::MIN)]
    pub seeds: NonZeroU64,
    /// The first seed: of weights, order, directions and masks.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Passes over what is trained on.
    #[arg(long, default_value_t = const { NonZeroU64::new(15).unwrap() })]
    pub epochs: NonZeroU64,
    /// Samples per step.
    #[arg(long, default_value_t = const { NonZeroUsize::new(100).unwrap() })]
    pub batch_size: NonZeroUsize,
    /// AdamW's learning rate, which falls along a cosine to 0.
    #[arg(long, default_value_t = 0.01)]
    pub lr: f64,
    /// Share of the steps over which the learning rate rises from 0.
    #[arg(long, default_value_t = 0.05)]
    pub warmup: f64,
    /// AdamW's weight decay.
    #[arg(long, default_value_t = 0.01)]
    pub weight_decay: f64,
    #[command(flatten)]
    pub sparse: SparseArgs,
    #[command(flatten)]
    pub sharpness: SharpnessArgs,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "flex", help_heading = "Program")]
    pub device: DeviceName,
    /// Print one JSON object a line on standard output.
    #[arg(long, help_heading = "Program")]
    pub json: bool,
}

impl FitArgs {
    /// Whether they make a run over so many samples.
    pub fn check(&self, samples: usize) -> Result<()> {
        let (lr, warmup, decay) = (self.lr, self.warmup, self.weight_decay);
        ensure!(
            lr.is_finite() && lr > 0.0,
            "--lr is {lr}: it must be finite and greater than 0"
        );
        ensure!(
            (0.0..1.0).contains(&warmup),
            "--warmup is {warmup}: it must be at least 0 and less than 1"
        );
        ensure!(
            decay.is_finite() && decay >= 0.0,
            "--weight-decay is {decay}: it must be finite and at least 0"
        );
        let batch = self.batch_size.get();
        ensure!(
            batch <= samples,
            "--batch-size is {batch}: there are {samples} samples for training"
        );
        Ok(())
    }
}

/// The options of the process, with a program's own defaults of some; help and errors of the command line end it.
pub fn parsed<O: CommandFactory + FromArgMatches>(defaults: &[(&'static str, &'static str)]) -> O {
    let command = O::command()
        .mut_arg("method", |arg| {
            arg.help("Sparse-training method [default: rigl]")
        })
        .mut_arg("sparsity", |arg| {
            arg.help("Share of dead weights [default: what N:M makes, else 0.9]")
        });
    let command = defaults.iter().fold(command, |command, (name, value)| {
        command.mut_arg(name, |arg| arg.default_value(*value))
    });
    O::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}
