//! What the program says and keeps.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zosam::checkpoint::write_atomically;
use zosam::objective::Passes;

/// A validation: a line of metrics.jsonl.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Steps taken.
    pub step: u64,
    /// Bits per byte, over the steps since the last validation.
    pub train_bits: f64,
    /// Bits per byte of the validation text.
    pub validation_bits: f64,
    pub live_weights: usize,
    #[serde(flatten)]
    pub passes: Passes,
    /// Of the steps.
    pub seconds: f64,
    /// The most memory that the process had at once in the steps.
    pub peak_megabytes: f64,
}

/// Position, and results so far: what a checkpoint keeps beside model, optimizer and masks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Sum of the losses since the last validation, in nats per byte.
    pub loss: f64,
    pub seconds: f64,
    pub passes: Passes,
    pub peak_bytes: usize,
    pub history: Vec<Metrics>,
}

/// Standard output, standard error and the folder of the run.
pub struct Output {
    json: bool,
    folder: Option<PathBuf>,
}

impl Output {
    pub fn new(json: bool, folder: Option<PathBuf>) -> Self {
        Self { json, folder }
    }

    /// Prints an event with `--json`.
    pub fn event(&self, event: &Value) -> Result<()> {
        if self.json {
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "{event}")?;
            stdout.flush()?;
        }
        Ok(())
    }

    pub fn table_head(&self) {
        eprintln!(
            "{:>7}  {:>10}  {:>15}  {:>9}  {:>8}  {:>7}",
            "step", "train bits", "validation bits", "live", "peak MB", "seconds"
        );
    }

    pub fn table_row(&self, m: &Metrics) {
        eprintln!(
            "{:>7}  {:>10.4}  {:>15.4}  {:>9}  {:>8.1}  {:>7.1}",
            m.step, m.train_bits, m.validation_bits, m.live_weights, m.peak_megabytes, m.seconds
        );
    }

    /// Keeps the validations so far in metrics.jsonl.
    pub fn keep(&self, history: &[Metrics]) -> Result<()> {
        let Some(path) = self.path("metrics.jsonl") else {
            return Ok(());
        };
        let lines = history.iter().map(serde_json::to_string);
        let lines = lines.collect::<serde_json::Result<Vec<_>>>()?;
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        Ok(write_atomically(&path, text.as_bytes())?)
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.folder.as_deref().map(|folder| folder.join(name))
    }

    /// Shows a byte that the model wrote, unless it goes into an event.
    pub fn write(&self, byte: u8) -> Result<()> {
        if !self.json {
            let mut stdout = std::io::stdout().lock();
            // What would command a terminal is shown as a point.
            let is_command = byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t');
            stdout.write_all(&[if is_command { b'.' } else { byte }])?;
            stdout.flush()?;
        }
        Ok(())
    }
}
