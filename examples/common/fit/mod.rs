//! Training a small network on a set in memory, seed by seed.

mod args;
mod run;

use std::io::Write;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::common::device::device;
use crate::spread::{deviation, mean};
pub use args::{FitArgs, parsed};
#[allow(unused_imports, reason = "not every program keeps its runs")]
pub use run::Finished;
use run::{Outcome, Run, said};
pub use run::{Scores, Task};

/// A run for each seed, then what they have in common.
pub fn seeds<T: Task>(task: &T, args: &FitArgs) -> Result<()> {
    let device = device(args.device)?.autodiff();
    let mut runs = Vec::new();
    for seed in args.seed..args.seed + args.seeds.get() {
        let outcome = Run::new(task, args, &device, seed)?.train()?;
        let scores = said(&outcome.scores);
        eprintln!("seed {seed}: {scores}, {:.1} s", outcome.seconds);
        runs.push(outcome);
    }
    let mut event = Map::new();
    event.insert("event".to_string(), json!("done"));
    event.insert("runs".to_string(), json!(runs));
    let mut spread = Vec::new();
    for name in names(&runs) {
        let values: Vec<f64> = runs.iter().map(|run| run.scores[name]).collect();
        let (mean, deviation) = (mean(&values), deviation(&values));
        let words = name.replace('_', " ");
        spread.push(format!("{words} {mean:.4} ± {deviation:.4}"));
        event.insert(name.to_string(), json!(mean));
        event.insert(format!("{name}_deviation"), json!(deviation));
    }
    eprintln!("{}, {} seeds", spread.join(", "), runs.len());
    args.event(&Value::Object(event))
}

fn names(runs: &[Outcome]) -> impl Iterator<Item = &'static str> {
    let first = runs.first().into_iter();
    first.flat_map(|run| run.scores.keys().copied())
}

impl FitArgs {
    /// Prints an event with `--json`.
    fn event(&self, event: &Value) -> Result<()> {
        if self.json {
            writeln!(std::io::stdout().lock(), "{event}")?;
        }
        Ok(())
    }
}
