//! Trains sparse networks on MNIST-1D, sequences of 40 numbers that a program makes: seconds per run, so that many seeds can be afforded.
//!
//! ```text
//! cargo run --release --example sequences
//! cargo run --release --example sequences -- --network lstm --method set --sharpness none --seeds 5
//! cargo run --release --example sequences -- --help
//! ```

#[path = "../common/parts.rs"]
mod common;
mod networks;
mod options;
#[path = "../common/spread.rs"]
mod spread;
mod train;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use networks::{ConvNet, LstmNet};
use options::{NetworkName, Options};
use spread::{deviation, mean};
use train::{Data, Outcome, Run};

fn main() -> ExitCode {
    zosam::keep_freed_memory();
    let options = Options::parsed();
    common::warnings::show();
    match seeds(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// A run for each seed, then what they have in common.
fn seeds(options: &Options) -> Result<()> {
    let device = common::device::device(options.device)?.autodiff();
    let data = Data::new(options)?;
    let mut runs = Vec::new();
    for seed in options.seed..options.seed + options.seeds.get() {
        let run = Run::new(options, &data, &device, seed)?;
        let outcome = match options.network {
            NetworkName::Conv => run.train::<ConvNet>()?,
            NetworkName::Lstm => run.train::<LstmNet>()?,
        };
        eprintln!(
            "seed {seed}: test accuracy {:.2}%, test loss {:.4}, {:.1} s",
            100.0 * outcome.test_accuracy,
            outcome.test_loss,
            outcome.seconds
        );
        runs.push(outcome);
    }
    let column = |value: fn(&Outcome) -> f64| runs.iter().map(value).collect::<Vec<f64>>();
    let accuracy = column(|run| 100.0 * run.test_accuracy);
    let loss = column(|run| run.test_loss);
    eprintln!(
        "test accuracy {:.2} ± {:.2} %, test loss {:.4} ± {:.4}, {} seeds",
        mean(&accuracy),
        deviation(&accuracy),
        mean(&loss),
        deviation(&loss),
        runs.len()
    );
    options.event(json!({
        "event": "done",
        "runs": runs,
        "test_accuracy": mean(&accuracy) / 100.0,
        "test_accuracy_deviation": deviation(&accuracy) / 100.0,
        "test_loss": mean(&loss),
        "test_loss_deviation": deviation(&loss),
    }))
}

impl Options {
    /// Prints an event with `--json`.
    fn event(&self, event: Value) -> Result<()> {
        if self.json {
            writeln!(std::io::stdout().lock(), "{event}")?;
        }
        Ok(())
    }
}
