//! The example programs, from outside: arguments, events, interruptions.
//!
//! `cargo test` builds the examples before the tests; for these tests alone run
//! `cargo build --examples` first.
//! `ZOSAM_KILLS=50` kills more often.
#![cfg(all(feature = "flex", feature = "models", feature = "data"))]

mod beyond_images;
mod decay;
mod events;
mod folder;
mod interruptions;
mod models;
mod recipes;
mod runs;
mod sharpness;
mod standalone;
mod study;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde_json::Value;

fn program(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let name = format!("{example}{}", std::env::consts::EXE_SUFFIX);
    let program = profile.join("examples").join(name);
    assert!(
        program.exists(),
        "build it first: cargo build --example {example}"
    );
    program
}

fn command(arguments: &[&str]) -> Command {
    command_of("resnet32", arguments)
}

fn command_of(example: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program(example));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn events(output: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(output.to_vec()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a program that has to succeed says, as events and as text.
fn said(output: Output) -> (Vec<Value>, String) {
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    (events(&output.stdout), text)
}

/// What a program that has to refuse says: one line, and code 2.
fn refusal(output: Output) -> String {
    let text = text(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

/// Testing on all images would take four fifths of the time.
const SMALL: [&str; 13] = [
    "--depth",
    "8",
    "--limit",
    "96",
    "--batch-size",
    "32",
    "--epochs",
    "4",
    "--test-limit",
    "100",
    "--update-every",
    "2",
    "--json",
];
