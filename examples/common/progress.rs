//! How far a run is: what a checkpoint keeps beside model, optimizer and masks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zosam::objective::Passes;

use super::measure::Sums;

/// Loss and accuracy on the test images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    pub test_loss: f64,
    pub test_accuracy: f64,
}

/// One epoch's results: a line of metrics.jsonl.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochMetrics {
    pub epoch: usize,
    pub train_loss: f64,
    pub train_accuracy: f64,
    /// Loss and accuracy on the test images, after epochs that are tested.
    #[serde(flatten)]
    pub test: Option<Tested>,
    pub images_per_second: f64,
    pub forwards: u64,
    pub backwards: u64,
    pub sparsity: f64,
    pub seconds: f64,
    /// Steps without a usable perturbation.
    pub plain_steps: u64,
    /// Of the average of the weights, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub average_accuracy: Option<f64>,
    /// What `--measure` asked for.
    #[serde(flatten)]
    pub measured: BTreeMap<String, f64>,
}

/// What the current epoch has added up so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Totals {
    pub loss: f64,
    pub correct: u64,
    pub images: u64,
    pub passes: Passes,
    pub seconds: f64,
    pub plain_steps: u64,
    pub measured: Sums,
}

/// Position in the data, and results so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Progress {
    pub epoch: usize,
    pub batch: usize,
    pub totals: Totals,
    pub passes: Passes,
    pub history: Vec<EpochMetrics>,
}

impl Progress {
    /// Closes the current epoch with the test results, if there are any; they are not in the history yet.
    pub fn finish_epoch(&mut self, test: Option<Tested>, sparsity: f64) -> EpochMetrics {
        let totals = std::mem::take(&mut self.totals);
        let images = totals.images.max(1) as f64;
        let metrics = EpochMetrics {
            epoch: self.epoch,
            train_loss: totals.loss / images,
            train_accuracy: totals.correct as f64 / images,
            test,
            images_per_second: images / totals.seconds.max(1e-9),
            forwards: totals.passes.forwards,
            backwards: totals.passes.backwards,
            sparsity,
            seconds: totals.seconds,
            plain_steps: totals.plain_steps,
            average_accuracy: None,
            measured: totals.measured.means(),
        };
        self.epoch += 1;
        self.batch = 0;
        metrics
    }
}
