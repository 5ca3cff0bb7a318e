//! Trains sparse networks to find items in scenes of 64 × 64 that a program makes from the embedded Fashion-MNIST: what each pixel is, or where items are.
//!
//! ```text
//! cargo run --release --example scenes
//! cargo run --release --example scenes -- --task detect --method rigl --sparsity 0.9 --sharpness zo-sam --out runs/detect
//! cargo run --release --example scenes -- --help
//! ```

mod average_precision;
mod bounds;
#[path = "../common/parts.rs"]
mod common;
mod data;
mod detect;
#[path = "../common/embedded.rs"]
mod embedded;
#[path = "../common/fit/mod.rs"]
mod fit;
mod mean_iou;
mod networks;
mod options;
mod peaks;
mod picture;
mod scene;
mod segment;
#[path = "../common/spread.rs"]
mod spread;
mod targets;

use std::process::ExitCode;

use anyhow::Result;

use data::Data;
use detect::Detect;
use fit::{parsed, seeds};
use options::{Options, TaskName};
use segment::Segment;

fn main() -> ExitCode {
    zosam::keep_freed_memory();
    let options: Options = parsed(&[("batch_size", "5")]);
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
    let data = Data::new(options)?;
    match options.task {
        TaskName::Segment => seeds(&Segment(data), &options.fit),
        TaskName::Detect => seeds(&Detect(data), &options.fit),
    }
}
