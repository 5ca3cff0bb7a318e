//! Trains a sparse byte-level GPT on the text of this repository, or of another folder, and writes on where a prompt stops.
//!
//! ```text
//! cargo run --release --example language_model
//! cargo run --release --example language_model -- --layers 6 --width 256 --context 256 --steps 5000 --out runs/gpt
//! cargo run --release --example language_model -- generate runs/gpt/model.safetensors --prompt "pub fn "
//! cargo run --release --example language_model -- --finetune runs/gpt/model.safetensors --text docs --forward-only
//! cargo run --release --example language_model -- --help
//! ```

#[path = "../common/parts.rs"]
mod common;
mod config;
mod decode;
mod generate;
#[path = "../common/interrupt.rs"]
mod interrupt;
#[path = "../common/lock.rs"]
mod lock;
mod model;
mod options;
mod output;
mod stepper;
#[path = "../common/options.rs"]
mod stored;
mod text;
mod train;

use std::process::ExitCode;

use peak_alloc::PeakAlloc;

use options::{Command, Line};

/// Tells how much memory training took at most.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    zosam::keep_freed_memory();
    common::warnings::show();
    let done = Line::parsed().and_then(|line| match line.command {
        Some(Command::Generate(options)) => generate::run(&options),
        None => train::run(&line.train),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
