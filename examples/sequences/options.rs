//! The command line.

use std::num::NonZeroUsize;

use clap::{Parser, ValueEnum};

use crate::fit::FitArgs;

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
    /// Sequences, of which four fifths are for training.
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub samples: usize,
    /// Seed of the sequences, which are the same in all runs.
    #[arg(long, default_value_t = 42)]
    pub data_seed: u64,
    #[command(flatten)]
    pub fit: FitArgs,
}
