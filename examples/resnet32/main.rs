//! Trains a sparse ResNet-32 with ZO-SAM.
//!
//! Without arguments: Fashion-MNIST (a sample that is part of the repository), 90 % sparse RigL, ZO-SAM.
//!
//! ```text
//! cargo run --release --example resnet32
//! cargo run --release --example resnet32 -- --dataset cifar10 --data DIR --out runs/first
//! cargo run --release --example resnet32 -- --help
//! ```

mod args;
mod config;
mod dataset;
mod method;
mod output;
mod plot;
mod progress;
mod train;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(answer) if !answer.use_stderr() => answer.exit(),
        Err(error) => {
            let text = error.to_string();
            let reason = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> = reason.split_whitespace().collect();
            eprintln!("{} (see --help)", words.join(" "));
            return ExitCode::from(2);
        }
    };
    match train::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line that says what to do.
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
