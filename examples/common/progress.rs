//! How far a run is: what a checkpoint keeps beside model, optimizer and masks.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Steps whose loss was not a finite number.
    pub diverged: Option<Diverged>,
}

/// Steps whose loss was NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diverged {
    /// The first of them.
    pub first: u64,
    pub steps: u64,
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

/// Results as comma-separated values: a column for each field that any epoch has, empty where an epoch has none.
pub fn table(history: &[EpochMetrics]) -> String {
    let measured = history.iter().flat_map(|epoch| epoch.measured.keys());
    let measured: BTreeSet<&str> = measured.map(String::as_str).collect();
    let test = |epoch: &EpochMetrics, of: fn(Tested) -> f64| epoch.test.map(of);
    let mut columns: Vec<(&str, Vec<Option<f64>>)> = Vec::new();
    let mut column = |name, value: &dyn Fn(&EpochMetrics) -> Option<f64>| {
        columns.push((name, history.iter().map(value).collect()));
    };
    column("epoch", &|epoch| Some(epoch.epoch as f64));
    column("train_loss", &|epoch| Some(epoch.train_loss));
    column("train_accuracy", &|epoch| Some(epoch.train_accuracy));
    column("test_loss", &|epoch| test(epoch, |test| test.test_loss));
    column("test_accuracy", &|epoch| {
        test(epoch, |test| test.test_accuracy)
    });
    column("average_accuracy", &|epoch| epoch.average_accuracy);
    column("images_per_second", &|epoch| Some(epoch.images_per_second));
    column("forwards", &|epoch| Some(epoch.forwards as f64));
    column("backwards", &|epoch| Some(epoch.backwards as f64));
    column("sparsity", &|epoch| Some(epoch.sparsity));
    column("seconds", &|epoch| Some(epoch.seconds));
    column("plain_steps", &|epoch| Some(epoch.plain_steps as f64));
    for name in measured {
        column(name, &|epoch| epoch.measured.get(name).copied());
    }
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut text = names.join(",") + "\n";
    for row in 0..history.len() {
        let cell = |(_, values): &(&str, Vec<Option<f64>>)| {
            values[row].map_or(String::new(), |value| value.to_string())
        };
        text += &columns.iter().map(cell).collect::<Vec<_>>().join(",");
        text.push('\n');
    }
    text
}
