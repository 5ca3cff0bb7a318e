//! Comparisons of many runs: tables, and a heat map.
//!
//! Every run is one of the resnet32 program, which has to be built and is looked for beside this one. Finished runs are lines of a file in
//! `--out`; a study that was interrupted goes on with the same command.
//!
//! ```text
//! cargo build --release --example resnet32 --example study
//! target/release/examples/study --data DIR --out DIR sensitivity
//! target/release/examples/study --data DIR --out DIR budget
//! ```

mod budget;
mod heat;
mod runs;
mod sensitivity;
#[path = "../common/spread.rs"]
mod spread;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use runs::{Runs, words};

#[derive(Debug, Parser)]
#[command(about = "Compare many runs")]
struct Args {
    /// Folder of CIFAR-10, with cifar-10-batches-bin [default: the built-in images].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder for finished runs, tables and pictures.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    setting: Setting,
    #[command(subcommand)]
    study: Study,
}

/// What all runs of a study share.
#[derive(Debug, Clone, clap::Args)]
struct Setting {
    /// Layers of the ResNet (6n + 2), of width 16.
    #[arg(long, default_value_t = 8)]
    depth: usize,
    /// The first N training images.
    #[arg(long, value_name = "N", default_value_t = 4000)]
    limit: usize,
    /// Passes over them; of SGD, where budgets are equal.
    #[arg(long, default_value_t = 4)]
    epochs: usize,
    /// Images per step.
    #[arg(long, default_value_t = 64)]
    batch_size: usize,
    /// The first seeds.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Rounds in which costs are measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

impl Setting {
    /// A run of RigL at 90 %, tested once.
    fn run(&self, options: &str, epochs: usize, seed: u64) -> Vec<String> {
        let Self {
            depth,
            limit,
            batch_size,
            ..
        } = self;
        words(&format!(
            "--depth {depth} --limit {limit} --batch-size {batch_size} --method rigl --sparsity 0.9 {options} --epochs {epochs} \
             --seed {seed} --evaluate-every {epochs}"
        ))
    }

    /// Twenty steps that tell the cost, without a change of masks, which is for every hundredth.
    fn short(&self, options: &str) -> Vec<String> {
        let limit = (20 * self.batch_size).min(self.limit);
        let short = Self {
            limit,
            ..self.clone()
        };
        let mut arguments = short.run(options, 1, 0);
        arguments.extend(words("--test-limit 250 --update-every 100"));
        arguments
    }
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Study {
    /// ZO-SAM over directions, distance of the probes and radius: accuracy, cosine and cost, as a table and a heat map.
    Sensitivity,
    /// Perturbations at the same time of computation.
    Budget,
}

fn main() -> ExitCode {
    match study(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn study(args: &Args) -> Result<()> {
    std::fs::create_dir_all(&args.out)?;
    let open = |name: &str| Runs::open(args.data.as_deref(), &args.out.join(name));
    match args.study {
        Study::Sensitivity => {
            sensitivity::study(&mut open("sensitivity.jsonl")?, &args.setting, &args.out)
        }
        Study::Budget => budget::study(&mut open("budget.jsonl")?, &args.setting, &args.out),
    }
}
