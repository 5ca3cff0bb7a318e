//! Comparisons of many runs, from a file that says which.

mod curves;
mod making;
mod page;
mod plan;
mod statistics;
mod store;
mod table;
mod times;

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use zosam::checkpoint::write_atomically;

use super::args::DatasetName;
use super::cli::{self, Study};
use super::{Program, analyse, spread};
use making::Studying;
use plan::Plan;
use store::Store;

/// Makes the runs of a study and reports them; or draws the sharpness card of some runs.
pub fn run<P: Program>(command: Study) -> Result<()> {
    if command.what == "sharpness" {
        return sharpness::<P>(command);
    }
    ensure!(
        command.runs.is_empty(),
        "only `study sharpness` takes runs: {} is one too many",
        command.runs[0].display()
    );
    let mut plan = Plan::read(&command.what)?.only(&command.rows)?;
    plan.seeds = command.seeds.unwrap_or(plan.seeds);
    if let Some(with) = &command.with {
        plan.with.clone_from(with);
        plan.assumed
            .push(format!("`{with}` in place of what rows and columns say"));
    }
    if let Some(data) = &command.data {
        let held = DatasetName::of_folder(data);
        let held =
            held.with_context(|| format!("--data {}: no data set is known there", data.display()))?;
        plan.options = format!("--dataset {} {}", held.name(), plan.options);
    } else if !plan.names_images() {
        let note = "no --data: the built-in sample of Fashion-MNIST, and no number of it compares with one of other images";
        plan.assumed.push(note.to_string());
    }
    let mut studying = Studying {
        store: Store::open(&command.out)?,
        started: Instant::now(),
        seconds: BTreeMap::new(),
        epochs: BTreeMap::new(),
        plan,
        command,
    };
    studying.check_options::<P>()?;
    studying.settle_epochs::<P>()?;
    match studying.command.dry_run {
        true => studying.foretell::<P>(),
        false => studying.make::<P>(),
    }
}

/// Portraits of models side by side.
fn sharpness<P: Program>(command: Study) -> Result<()> {
    ensure!(
        !command.runs.is_empty(),
        "study sharpness: name the folders of some runs, or model files"
    );
    let mut portraits = Vec::new();
    for run in &command.runs {
        let model = match run.is_dir() {
            true => run.join("model.safetensors"),
            false => run.clone(),
        };
        let mut words = vec![model.display().to_string()];
        if let Some(data) = &command.data {
            words.extend(["--data".to_string(), data.display().to_string()]);
        }
        words.extend(
            command
                .with
                .iter()
                .flat_map(|with| with.split_whitespace().map(str::to_string)),
        );
        let portrait = analyse::of_file::<P>(cli::analyse::<P>(words)?)?;
        eprint!("{}\n{portrait}", portrait.name);
        portraits.push(portrait);
    }
    std::fs::create_dir_all(&command.out)?;
    let path = command.out.join("sharpness.svg");
    write_atomically(&path, analyse::draw(&portraits)?.as_bytes())?;
    eprintln!("{}", path.display());
    Ok(())
}
