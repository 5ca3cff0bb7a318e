//! The folder of a study: what is finished, and a folder for each run.

use std::fs::{OpenOptions, read_to_string};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zosam::analysis::Curve;

use crate::common::progress::EpochMetrics;

/// A finished run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finished {
    pub options: Vec<String>,
    pub seed: u64,
    pub history: Vec<EpochMetrics>,
}

impl Finished {
    /// Accuracy in percent and loss on the test images, at the end.
    pub fn test(&self) -> (f64, f64) {
        let test = self.history.last().and_then(|epoch| epoch.test);
        test.map_or((f64::NAN, f64::NAN), |test| {
            (100.0 * test.test_accuracy, test.test_loss)
        })
    }

    pub fn train_loss(&self) -> f64 {
        self.history
            .last()
            .map_or(f64::NAN, |epoch| epoch.train_loss)
    }

    /// Epochs to 95 % of the best test accuracy; NaN of a run that was tested once.
    pub fn soon(&self) -> f64 {
        let point =
            |epoch: &EpochMetrics| Some((epoch.epoch as f64 + 1.0, epoch.test?.test_accuracy));
        let points: Vec<_> = self.history.iter().filter_map(point).collect();
        match points.len() {
            0 | 1 => f64::NAN,
            _ => Curve { points }
                .first_reaches_share(0.95)
                .unwrap_or(f64::NAN),
        }
    }

    /// Of training alone.
    pub fn seconds(&self) -> f64 {
        self.history.iter().map(|epoch| epoch.seconds).sum()
    }
}

/// What a study has on disk.
pub struct Store {
    folder: PathBuf,
    finished: Vec<Finished>,
}

impl Store {
    /// Reads the finished runs; a last line that was cut off does not count.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made or its file not be read.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let path = folder.join("runs.jsonl");
        let shown = path.display().to_string();
        let text = match path.exists() {
            true => read_to_string(&path).with_context(|| shown.clone())?,
            false => String::new(),
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let lines = text[..whole].lines().map(serde_json::from_str);
        let finished = lines.collect::<serde_json::Result<_>>();
        let finished = finished.with_context(|| format!("{shown}: not a file of finished runs"))?;
        if whole < text.len() {
            OpenOptions::new()
                .write(true)
                .open(&path)?
                .set_len(whole as u64)?;
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            finished,
        })
    }

    /// The run with these options, if it is finished.
    pub fn get(&self, options: &[String], seed: u64) -> Option<&Finished> {
        let is_it = |run: &&Finished| run.seed == seed && run.options == options;
        self.finished.iter().find(is_it)
    }

    /// The folder of a run: named by a hash of its options, and its seed.
    pub fn folder(&self, options: &[String], seed: u64) -> PathBuf {
        let hash = Sha256::digest(options.join(" ").as_bytes());
        let hash: String = hash
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.folder.join("runs").join(format!("{hash}-{seed}"))
    }

    /// Keeps a finished run.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn keep(&mut self, run: Finished) -> Result<()> {
        let path = self.folder.join("runs.jsonl");
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        let line = serde_json::to_string(&run)? + "\n";
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        self.finished.push(run);
        Ok(())
    }
}

/// The epochs of a run, as its folder has them.
///
/// # Errors
///
/// If they cannot be read.
pub fn history(folder: &Path) -> Result<Vec<EpochMetrics>> {
    let path = folder.join("metrics.jsonl");
    let text = read_to_string(&path).with_context(|| path.display().to_string())?;
    let epochs = text.lines().map(serde_json::from_str);
    let epochs = epochs.collect::<serde_json::Result<_>>();
    epochs.with_context(|| format!("{}: not the metrics of a run", path.display()))
}
