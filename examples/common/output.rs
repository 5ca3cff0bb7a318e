//! What the program says and keeps.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::module::Module;
use serde::Serialize;
use zosam::analysis::Robustness;
use zosam::checkpoint::write_atomically;
use zosam::masks::Masks;
use zosam::model_file::{Card, SaveOptions};
use zosam::objective::Passes;
use zosam::sparse::SparsityReport;

use super::analyse::Portrait;
use super::analyse::features::LayerSummary;
use super::plot;
use super::progress::{self, EpochMetrics};

/// A line on standard output with `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event<'a> {
    Sparsity {
        when: &'static str,
        #[serde(flatten)]
        report: &'a SparsityReport,
    },
    Epoch(&'a EpochMetrics),
    Evaluation {
        accuracy: f64,
        top5: f64,
        loss: f64,
        calibration_error: f64,
        confusion: &'a [Vec<u64>],
    },
    Robustness {
        mean_error: Option<f64>,
        mean_extra_error: Option<f64>,
        #[serde(flatten)]
        robustness: &'a Robustness,
    },
    Analysis(&'a Portrait),
    Features {
        model: &'a str,
        layers: &'a [LayerSummary],
    },
    Prediction {
        file: &'a Path,
        best: &'a [(String, f64)],
    },
    Interrupted {
        epoch: usize,
        batch: usize,
    },
    Done(Box<Done>),
}

/// The result of a run.
#[derive(Debug, Serialize)]
pub struct Done {
    pub test_accuracy: f64,
    pub test_loss: f64,
    pub sparsity_prunable: f64,
    pub sparsity_model: f64,
    pub live_weights: usize,
    #[serde(flatten)]
    pub passes: Passes,
    pub steps: u64,
    /// SHA-256 over all weights and running statistics.
    pub weights_hash: String,
}

/// Standard output, standard error and the output folder.
pub struct Output {
    json: bool,
    folder: Option<PathBuf>,
}

impl Output {
    pub fn new(json: bool, folder: Option<PathBuf>) -> Self {
        Self { json, folder }
    }

    /// Prints an event with `--json`.
    pub fn event(&self, event: &Event) -> Result<()> {
        if self.json {
            let mut stdout = std::io::stdout().lock();
            serde_json::to_writer(&mut stdout, event)?;
            writeln!(stdout)?;
            stdout.flush()?;
        }
        Ok(())
    }

    pub fn table_head(&self) {
        eprintln!(
            "{:>5}  {:>10}  {:>9}  {:>9}  {:>9}  {:>8}  {:>8}  {:>7}",
            "epoch",
            "train loss",
            "train acc",
            "test loss",
            "test acc",
            "images/s",
            "sparsity",
            "seconds"
        );
    }

    pub fn table_row(&self, m: &EpochMetrics) {
        let (loss, accuracy) = match m.test {
            Some(test) => (
                format!("{:.4}", test.test_loss),
                format!("{:.2}%", 100.0 * test.test_accuracy),
            ),
            None => ("-".to_string(), "-".to_string()),
        };
        eprintln!(
            "{:>5}  {:>10.4}  {:>8.2}%  {loss:>9}  {accuracy:>9}  {:>8.1}  {:>8.4}  {:>7.1}",
            m.epoch,
            m.train_loss,
            100.0 * m.train_accuracy,
            m.images_per_second,
            m.sparsity,
            m.seconds
        );
    }

    /// Keeps the epochs so far: in metrics.jsonl, one JSON object a line, and as a table in metrics.csv.
    pub fn keep(&self, history: &[EpochMetrics]) -> Result<()> {
        if let Some(path) = self.path("metrics.jsonl") {
            let mut text = String::new();
            for metrics in history {
                text += &serde_json::to_string(metrics)?;
                text.push('\n');
            }
            write_atomically(&path, text.as_bytes())?;
        }
        if let Some(path) = self.path("metrics.csv") {
            write_atomically(&path, progress::table(history).as_bytes())?;
        }
        Ok(())
    }

    /// Keeps the model, sparse weights as bits and values, and what is to be said of it.
    pub fn keep_model<M: Module>(
        &self,
        name: &str,
        model: &M,
        masks: &Masks,
        card: Card,
    ) -> Result<()> {
        match self.path(&format!("{name}.safetensors")) {
            Some(path) => Ok(SaveOptions::new()
                .with_card(card)
                .save(path, model, masks)?),
            None => Ok(()),
        }
    }

    /// Draws the curves and, of a sparse net, the densities of its layers.
    pub fn draw(&self, history: &[EpochMetrics], report: &SparsityReport) -> Result<()> {
        if let Some(path) = self.path("curves.svg") {
            plot::curves(&path, history)?;
        }
        match self.path("density.svg") {
            Some(path) if !report.layers.is_empty() => plot::densities(&path, report),
            _ => Ok(()),
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.folder
            .as_deref()
            .map(|folder: &Path| folder.join(name))
    }
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}
