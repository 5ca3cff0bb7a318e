//! Runs of the resnet32 program, each made once: what is finished is kept as a line of a file.

use std::fs::{File, OpenOptions, read_to_string};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spread::mean;

/// A finished run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The command line, without where the data lie.
    pub arguments: Vec<String>,
    /// Which of several equal runs it is.
    pub turn: usize,
    pub test_accuracy: f64,
    pub test_loss: f64,
    /// Of training, tests and other measurements left out; summed over epochs.
    pub seconds: f64,
    pub forwards: u64,
    pub backwards: u64,
    /// Mean over epochs, if it was measured.
    pub cosine: Option<f64>,
}

/// The program, the data and the runs made so far.
pub struct Runs {
    program: PathBuf,
    data: Option<PathBuf>,
    path: PathBuf,
    finished: Vec<Run>,
}

impl Runs {
    /// Reads the finished runs; a last line that was cut off does not count.
    ///
    /// # Errors
    ///
    /// If the program is not beside this one or the file cannot be read.
    pub fn open(data: Option<&Path>, path: &Path) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("resnet32");
        let program = program.with_extension(std::env::consts::EXE_EXTENSION);
        if !program.exists() {
            bail!(
                "{}: build it first: cargo build --release --example resnet32",
                program.display()
            );
        }
        let text = match path.exists() {
            true => read_to_string(path).with_context(|| path.display().to_string())?,
            false => String::new(),
        };
        let (whole, cut) = text.rsplit_once('\n').unwrap_or(("", &text));
        let finished = whole.lines().map(serde_json::from_str);
        let finished = finished
            .collect::<serde_json::Result<_>>()
            .with_context(|| format!("{}: not a file of finished runs", path.display()))?;
        if !cut.is_empty() {
            let kept = (text.len() - cut.len()) as u64;
            OpenOptions::new().write(true).open(path)?.set_len(kept)?;
        }
        Ok(Self {
            program,
            data: data.map(Path::to_path_buf),
            path: path.to_path_buf(),
            finished,
        })
    }

    /// The run with these arguments, made now unless it is finished already.
    ///
    /// # Errors
    ///
    /// If the program fails or the file cannot be written.
    pub fn run(&mut self, arguments: Vec<String>, turn: usize) -> Result<Run> {
        let same = |run: &&Run| run.arguments == arguments && run.turn == turn;
        if let Some(run) = self.finished.iter().find(same) {
            return Ok(run.clone());
        }
        eprintln!("resnet32 {}", arguments.join(" "));
        let run = self.make(arguments, turn)?;
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .with_context(|| self.path.display().to_string())?;
        keep(&mut file, &run)?;
        self.finished.push(run.clone());
        Ok(run)
    }

    fn make(&self, arguments: Vec<String>, turn: usize) -> Result<Run> {
        let mut command = Command::new(&self.program);
        command.arg("--json").args(&arguments).stdin(Stdio::null());
        if let Some(data) = &self.data {
            command.args(["--dataset", "cifar10", "--data"]).arg(data);
        }
        let output = command.output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("resnet32 failed: {}", said.lines().last().unwrap_or("?"));
        }
        let lines = String::from_utf8(output.stdout)?;
        let events: Vec<Value> = lines
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let epochs = || events.iter().filter(|event| event["event"] == "epoch");
        let done = events.last().filter(|event| event["event"] == "done");
        let done = done.context("resnet32 was interrupted")?;
        let number = |name: &str| done[name].as_f64().context("a run ends with its results");
        let cosines: Vec<f64> = epochs()
            .filter_map(|epoch| epoch["cosine"].as_f64())
            .collect();
        Ok(Run {
            test_accuracy: number("test_accuracy")?,
            test_loss: number("test_loss")?,
            seconds: epochs().filter_map(|epoch| epoch["seconds"].as_f64()).sum(),
            forwards: number("forwards")? as u64,
            backwards: number("backwards")? as u64,
            cosine: (!cosines.is_empty()).then(|| mean(&cosines)),
            arguments,
            turn,
        })
    }

    /// Seconds of a short run of each variant relative to the first one's: medians over rounds in which they take turns, because the
    /// machine's speed drifts.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn costs(&mut self, variants: &[Vec<String>], rounds: usize) -> Result<Vec<f64>> {
        let mut ratios = vec![Vec::new(); variants.len()];
        for round in 0..rounds {
            let mut first = None;
            for (variant, ratios) in variants.iter().zip(&mut ratios) {
                let seconds = self.run(variant.clone(), round)?.seconds;
                ratios.push(seconds / *first.get_or_insert(seconds));
            }
        }
        Ok(ratios.into_iter().map(median).collect())
    }
}

fn keep(file: &mut File, run: &Run) -> Result<()> {
    let line = serde_json::to_string(run)? + "\n";
    file.write_all(line.as_bytes())?;
    Ok(file.sync_data()?)
}

/// The arguments of a text.
pub fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_string).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
