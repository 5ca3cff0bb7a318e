//! What the example programs share: everything but the network.

#![allow(
    clippy::duplicate_mod,
    reason = "each example compiles its own copy of this folder"
)]

pub mod args;
mod config;
mod dataset;
mod evaluate;
mod method;
mod output;
mod plot;
mod predict;
mod progress;
mod recipe;
mod robustness;
mod train;

use std::fmt::Debug;
use std::path::PathBuf;
use std::process::ExitCode;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zosam::tangent::Dual;

use args::{Args, Defaults};

/// The part of a program that its network makes: options, defaults, and the network's configuration.
pub trait Network: clap::Args + Clone + Debug {
    /// What the program does, for `--help`.
    const ABOUT: &'static str;
    /// The program's name, which recipes are for.
    const NAME: &'static str;
    /// What is not the same for all networks.
    const DEFAULTS: Defaults;
    /// The network's configuration.
    type Config: NetworkConfig;

    /// The configuration for images `[channels, height, width]` of a number of classes.
    fn config(&self, image: [usize; 3], classes: usize) -> Self::Config;
}

/// A configuration that is kept with a run.
pub trait NetworkConfig: Clone + Debug + Serialize + DeserializeOwned {
    /// The network.
    type Model: Classifier;

    /// A network with random weights.
    fn init(&self, device: &Device) -> zosam::Result<Self::Model>;
}

/// A network that makes logits of images.
pub trait Classifier: Module + Debug + 'static {
    /// Logits `[batch, classes]`.
    fn logits(&self, images: Tensor<4>) -> Tensor<2>;

    /// Logits and their derivative along a direction.
    fn logits_tangent(&self, direction: &Self, images: Tensor<4>) -> Dual<2>;

    /// Cross-entropy and logits.
    fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>);

    /// How often a forward pass uses each weight of a layer.
    fn uses(&self, path: &str, size: [usize; 2]) -> Option<u64>;
}

#[derive(Debug, Parser)]
#[command(version, allow_negative_numbers = true)]
struct Program<N: Network> {
    #[command(flatten)]
    network: N,
    #[command(flatten)]
    args: Args,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Test a model file on the test images: accuracy, calibration, confusion. The network's options have to be those it
    /// was trained with, and precede the command.
    Evaluate {
        /// The safetensors file, such as the model.safetensors of a run.
        model: PathBuf,
        #[command(flatten)]
        corruptions: robustness::Options,
    },
    /// Name the likeliest classes of image files (PNG, JPEG), their middle resized to the network's input.
    Predict {
        /// The safetensors file.
        model: PathBuf,
        /// The images.
        #[arg(required = true)]
        images: Vec<PathBuf>,
    },
}

/// Parses the command line and trains, or does what the command says; errors are one line that says what to do.
pub fn main<N: Network>() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let arguments = match recipe::expanded(arguments.clone(), N::NAME) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    let command = Program::<N>::command().about(N::ABOUT);
    let matches = command
        .args_override_self(true)
        .try_get_matches_from(arguments);
    let program = matches.and_then(|matches| Program::<N>::from_arg_matches(&matches));
    let Program {
        network,
        mut args,
        command,
    } = match program {
        Ok(program) => program,
        Err(answer) if !answer.use_stderr() => answer.exit(),
        Err(error) => {
            let text = error.to_string();
            let reason = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> = reason.split_whitespace().collect();
            eprintln!("{} (see --help)", words.join(" "));
            return ExitCode::from(2);
        }
    };
    args.defaults = N::DEFAULTS;
    let done = match command {
        None => train::run(network, args),
        Some(Command::Evaluate { model, corruptions }) => {
            evaluate::run(&network, &args, &model, &corruptions)
        }
        Some(Command::Predict { model, images }) => predict::run(&network, &args, &model, &images),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
