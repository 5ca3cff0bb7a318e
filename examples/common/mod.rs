//! What the example programs share: everything but their networks.

#![allow(
    clippy::duplicate_mod,
    reason = "each example compiles its own copy of this folder"
)]

#[macro_use]
mod names;

mod analyse;
pub mod args;
mod augment;
mod batch;
mod classes;
mod cli;
mod config;
mod dataset;
mod device;
mod download;
mod embedded;
mod epoch;
mod evaluate;
mod export;
mod file;
mod folder;
mod info;
mod interrupt;
mod last_batch;
mod lock;
mod measure;
mod method;
mod options;
mod output;
mod plot;
mod predict;
mod progress;
mod rate;
mod recipe;
mod result;
mod robustness;
mod run;
mod sharpness;
mod sparse_args;
mod spread;
mod start;
mod study;
mod train;
mod units;
mod warnings;

use std::fmt::{Debug, Display};
use std::process::ExitCode;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use zosam::compile::Uses;
use zosam::model_file::{Card, Configuration};
use zosam::tangent::Dual;

use args::Defaults;
use cli::Command;

/// A program: its networks, and what it has its own defaults for.
pub trait Program: Debug {
    /// Its name.
    const NAME: &'static str;
    /// What it does, for `--help`.
    const ABOUT: &'static str;
    /// What is not the same for all programs.
    const DEFAULTS: Defaults;
    /// What is to be said of its networks on the command line.
    type Options: clap::Args + Clone + Debug;

    /// Does something with the network that options describe, for images `[channels, height, width]` of a number of classes.
    ///
    /// # Errors
    ///
    /// If there is no such network, and as the task.
    fn by_options(
        options: &Self::Options,
        image: [usize; 3],
        classes: usize,
        task: impl Task,
    ) -> Result<()>;

    /// Does something with the network of a file.
    ///
    /// # Errors
    ///
    /// If this program does not know it, or an option contradicts it; and as the task.
    fn by_card(options: &Self::Options, card: &Card, task: impl Task) -> Result<()>;
}

/// What is done with a network, whichever it is.
pub trait Task {
    /// Does it.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong.
    fn run<N: Network>(self, config: N) -> Result<()>;
}

/// A network's configuration.
pub trait Network: Configuration<Model: Classifier> + Clone + Debug {
    /// The same network for other images and classes.
    fn fitted(self, image: [usize; 3], classes: usize) -> Self;
}

/// A network that makes logits of images.
pub trait Classifier: Module + Debug + 'static {
    /// Logits `[batch, classes]`.
    fn logits(&self, images: Tensor<4>) -> Tensor<2>;

    /// Logits and their derivative along a direction.
    fn logits_tangent(&self, direction: &Self, images: Tensor<4>) -> Dual<2>;

    /// Cross-entropy and logits.
    fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>);
}

/// How often a forward pass uses each weight of a model, for images `[channels, height, width]`.
///
/// # Errors
///
/// If it cannot be run on such images.
pub fn uses<M: Classifier>(model: &M, [channels, height, width]: [usize; 3]) -> Result<Uses> {
    let images = Tensor::<4>::zeros([1, channels, height, width], &Device::flex());
    Ok(Uses::of(model, images, M::logits)?)
}

/// Says what is wrong in one line.
pub fn refused(error: anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(2)
}

/// Does what the command line says; errors are one line that says what to do.
pub fn main<P: Program>() -> ExitCode {
    zosam::keep_freed_memory();
    let command = match cli::parsed::<P>() {
        Ok(command) => command,
        Err(refusal) => return refusal.tell(),
    };
    warnings::show();
    let done = match command {
        Command::Train(train) => train::run::<P>(train.network, train.args),
        Command::Evaluate(evaluate) => evaluate::run::<P>(*evaluate),
        Command::Predict(predict) => predict::run::<P>(*predict),
        Command::Info(info) => info::run(&info),
        Command::Export(export) => export::run::<P>(*export),
        Command::Analyse(analyse) => analyse::run::<P>(*analyse),
        Command::Features(features) => analyse::features::run::<P>(*features),
        Command::Study(study) => study::run::<P>(*study),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refused(error),
    }
}

/// Refuses an option that says something else than a file.
///
/// # Errors
///
/// If it does.
pub fn agree<T: PartialEq + Display>(
    option: &str,
    given: Option<T>,
    file: Option<T>,
) -> Result<()> {
    match (given, file) {
        (Some(given), Some(file)) if given != file => {
            anyhow::bail!("{option} is {given}, but the file says {file}: leave it out")
        }
        _ => Ok(()),
    }
}

/// The traits of a network whose own functions have their names.
#[macro_export]
macro_rules! network {
    (
        $config:ty => $model:ty,
        |$self:ident, $image:ident, $classes:ident| $fitted:expr
    ) => {
        impl $crate::common::Network for $config {
            fn fitted($self, $image: [usize; 3], $classes: usize) -> Self {
                $fitted
            }
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
        }
    };
}
