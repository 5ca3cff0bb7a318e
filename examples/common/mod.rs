//! What the example programs share: everything but the network.

#![allow(
    clippy::duplicate_mod,
    reason = "each example compiles its own copy of this folder"
)]

pub mod args;
mod augment;
mod batch;
mod config;
mod dataset;
mod download;
mod evaluate;
mod measure;
mod method;
mod output;
mod plot;
mod predict;
mod progress;
mod recipe;
mod robustness;
mod sharpness;
mod train;
mod warnings;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zosam::model_file::{load_model_except, shapes};
use zosam::tangent::Dual;

use args::{Args, Defaults};

/// The part of a program that its network makes: options, defaults, and the network's configuration.
pub trait Network: clap::Args + Clone + Debug {
    /// What the program does, for `--help`.
    const ABOUT: &'static str;
    /// What is not the same for all networks.
    const DEFAULTS: Defaults;
    /// The network's configuration.
    type Config: NetworkConfig;

    /// The configuration for images `[channels, height, width]` of a number of classes.
    ///
    /// # Errors
    ///
    /// If there is no such network.
    fn config(&self, image: [usize; 3], classes: usize) -> Result<Self::Config>;
}

/// A configuration that is kept with a run.
pub trait NetworkConfig: Clone + Debug + Serialize + DeserializeOwned {
    /// The network.
    type Model: Classifier + Sync;

    /// Beginnings of the names of the classifiers' tensors, as in model files.
    const CLASSIFIERS: &'static [&'static str];

    /// Number of classes.
    fn classes(&self) -> usize;

    /// A network with random weights.
    fn init(&self, device: &Device) -> zosam::Result<Self::Model>;

    /// A network with the weights of a file, but for the classifier if the file's is for other classes.
    fn load(&self, path: &Path, device: &Device) -> Result<Self::Model> {
        let kept = self.unfit_classifiers(path)?;
        Ok(load_model_except(path, self.init(device)?, kept)?.0)
    }

    /// The classifiers, if those in a file are for another number of classes.
    fn unfit_classifiers(&self, path: &Path) -> Result<&'static [&'static str]> {
        let found = shapes(path)?.remove(&format!("{}bias", Self::CLASSIFIERS[0]));
        Ok(match found.as_deref() {
            Some([classes]) if *classes != self.classes() => {
                eprintln!(
                    "{} is for {classes} classes: the classifier starts afresh for {}",
                    path.display(),
                    self.classes()
                );
                Self::CLASSIFIERS
            }
            _ => &[],
        })
    }
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

/// The command line with the options of its recipe.
pub fn arguments(program: &str) -> Result<Vec<String>> {
    recipe::expanded(std::env::args().collect(), program)
}

/// Says what is wrong in one line.
pub fn refused(error: anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(2)
}

/// Trains, or does what the command says; errors are one line that says what to do.
pub fn main<N: Network>(arguments: Vec<String>) -> ExitCode {
    zosam::keep_freed_memory();
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
    warnings::show();
    let done = match command {
        None => train::run(network, args),
        Some(Command::Evaluate { model, corruptions }) => {
            evaluate::run(&network, &args, &model, &corruptions)
        }
        Some(Command::Predict { model, images }) => predict::run(&network, &args, &model, &images),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refused(error),
    }
}

/// The traits of a network whose own functions have their names.
#[macro_export]
macro_rules! network {
    ($config:ty => $model:ty, $classifiers:expr, |$net:ident, $path:ident, $size:ident| $uses:expr $(, $load:item)?) => {
        impl $crate::common::NetworkConfig for $config {
            type Model = $model;
            const CLASSIFIERS: &'static [&'static str] = &$classifiers;

            fn classes(&self) -> usize {
                self.classes
            }

            fn init(&self, device: &burn::tensor::Device) -> zosam::Result<$model> {
                self.init(device)
            }

            $($load)?
        }

        impl $crate::common::Classifier for $model {
            fn logits(&self, images: burn::tensor::Tensor<4>) -> burn::tensor::Tensor<2> {
                self.forward(images)
            }

            fn logits_tangent(
                &self,
                direction: &Self,
                images: burn::tensor::Tensor<4>,
            ) -> zosam::tangent::Dual<2> {
                self.forward_tangent(direction, images)
            }

            fn loss(
                &self,
                images: burn::tensor::Tensor<4>,
                labels: burn::tensor::Tensor<1, burn::tensor::Int>,
            ) -> (burn::tensor::Tensor<1>, burn::tensor::Tensor<2>) {
                self.loss(images, labels)
            }

            fn uses(&self, $path: &str, $size: [usize; 2]) -> Option<u64> {
                let $net = self;
                $uses
            }
        }
    };
}
