//! The command line.

use std::num::{NonZeroU64, NonZeroUsize};

use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::common::names::DeviceName;
use crate::common::sharpness::SharpnessArgs;
use crate::common::sparse_args::SparseArgs;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NetworkName {
    /// Three convolutions with batch norm.
    Conv,
    /// An LSTM.
    Lstm,
}

#[derive(Debug, Parser)]
#[command(
    name = "sequences",
    about = "Train sparse networks on MNIST-1D with sharpness-aware minimization",
    version
)]
pub struct Options {
    #[arg(long, value_enum, default_value_t = NetworkName::Conv)]
    pub network: NetworkName,
    /// Channels of the convolutions, or size of the LSTM's state.
    #[arg(long, default_value_t = const { NonZeroUsize::new(64).unwrap() })]
    pub width: NonZeroUsize,
    /// Runs, each with a seed of its own.
    #[arg(long, value_name = "N", default_value_t = NonZeroU64::MIN)]
    pub seeds: NonZeroU64,
    /// The first seed: of weights, order, directions and masks.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Sequences, of which four fifths are for training.
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub samples: usize,
    /// Seed of the sequences, which are the same in all runs.
    #[arg(long, default_value_t = 42)]
    pub data_seed: u64,
    /// Passes over the training sequences.
    #[arg(long, default_value_t = const { NonZeroU64::new(15).unwrap() })]
    pub epochs: NonZeroU64,
    /// Sequences per step.
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
    #[arg(long, value_enum, default_value_t = DeviceName::Flex, help_heading = "Program")]
    pub device: DeviceName,
    /// Print one JSON object a line on standard output.
    #[arg(long, help_heading = "Program")]
    pub json: bool,
}

impl Options {
    /// The options of the process; help and errors of the command line end it.
    pub fn parsed() -> Self {
        let command = Self::command()
            .mut_arg("method", |arg| {
                arg.help("Sparse-training method [default: rigl]")
            })
            .mut_arg("sparsity", |arg| {
                arg.help("Share of dead weights [default: what N:M makes, else 0.9]")
            });
        let parsed = Self::from_arg_matches(&command.get_matches());
        parsed.unwrap_or_else(|error| error.exit())
    }
}
