//! Trains sparse networks on MNIST-1D, sequences of 40 numbers that a program makes: seconds per run, so that many seeds can be afforded.
//!
//! ```text
//! cargo run --release --example sequences
//! cargo run --release --example sequences -- --network lstm --method set --sharpness none --seeds 5
//! cargo run --release --example sequences -- --help
//! ```

#[path = "../common/parts.rs"]
mod common;
#[path = "../common/fit/mod.rs"]
mod fit;
mod networks;
mod options;
#[path = "../common/spread.rs"]
mod spread;
mod task;

use std::process::ExitCode;

use anyhow::{Result, ensure};

use common::names::MethodName;
use fit::{parsed, seeds};
use networks::{ConvNet, LstmNet};
use options::{NetworkName, Options};
use task::Sequences;

fn main() -> ExitCode {
    zosam::keep_freed_memory();
    let options: Options = parsed(&[]);
    common::warnings::show();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let is_grasp = options.fit.sparse.method == Some(MethodName::Grasp);
    ensure!(
        !(options.network == NetworkName::Lstm && is_grasp),
        "--method grasp measures in f64, in which burn's LSTM does not compute: choose another method, or --network conv"
    );
    match options.network {
        NetworkName::Conv => seeds(&Sequences::<ConvNet>::new(options)?, &options.fit),
        NetworkName::Lstm => seeds(&Sequences::<LstmNet>::new(options)?, &options.fit),
    }
}
