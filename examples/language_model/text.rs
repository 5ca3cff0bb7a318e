//! The text: files of a folder, a tenth of them for validation.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::ValueEnum;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Ends a file.
pub const END: u8 = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextName {
    /// Sources and documents.
    All,
    /// Files in Rust and Python.
    Sources,
    /// Files in Markdown, and plain text.
    Docs,
}

impl TextName {
    fn has(self, path: &Path) -> bool {
        let extension = path.extension().and_then(|of| of.to_str());
        let (source, document) = match extension {
            Some("rs" | "py") => (true, false),
            Some("md" | "txt") => (false, true),
            _ => (false, false),
        };
        match self {
            Self::All => source || document,
            Self::Sources => source,
            Self::Docs => document,
        }
    }
}

/// The text of a run.
pub struct Text {
    train: Vec<u8>,
    validation: Vec<u8>,
    /// SHA-256 over both parts: a run goes on with the text that it was started with, or not at all.
    pub fingerprint: String,
    /// Files of either part.
    pub files: [usize; 2],
}

impl Text {
    /// Reads a folder's files of a kind, without hidden ones and what was built.
    ///
    /// Validation gets a tenth of the files, those whose paths have the lowest SHA-256: it is the same tenth on every machine, and a
    /// new file changes little of it.
    pub fn read(folder: &Path, name: TextName) -> Result<Self> {
        let mut paths = Vec::new();
        collect(folder, &mut paths)?;
        let relative = |path: &Path| -> Option<String> {
            let names = path.strip_prefix(folder).ok()?.iter();
            Some(
                names
                    .map(|name| name.to_string_lossy())
                    .collect::<Vec<_>>()
                    .join("/"),
            )
        };
        let chosen = paths.into_iter().filter(|path| name.has(path));
        let named = chosen.filter_map(|path| Some((relative(&path)?, path)));
        let mut files: Vec<_> = named
            .map(|(name, path)| (Sha256::digest(&name).to_vec(), name, path))
            .collect();
        files.sort();
        let shown = folder.display();
        ensure!(
            files.len() > 1,
            "{shown} has {} files of such text: it takes two, one for training and one for validation; --folder names another",
            files.len()
        );
        let validation = files.len().div_ceil(10);
        let mut parts = [Vec::new(), Vec::new()];
        for (index, (_, _, path)) in files.iter().enumerate() {
            let bytes = fs::read(path).with_context(|| path.display().to_string())?;
            let part = &mut parts[usize::from(index < validation)];
            part.extend(bytes);
            part.push(END);
        }
        let [train, validation_bytes] = parts;
        let mut hash = Sha256::new();
        hash.update((train.len() as u64).to_le_bytes());
        hash.update(&train);
        hash.update(&validation_bytes);
        let hash = hash.finalize();
        Ok(Self {
            fingerprint: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            files: [files.len() - validation, validation],
            train,
            validation: validation_bytes,
        })
    }

    /// Bytes of either part.
    pub fn bytes(&self) -> [usize; 2] {
        [self.train.len(), self.validation.len()]
    }

    /// Refuses texts that are too short for a context.
    pub fn check(&self, context: usize) -> Result<()> {
        let [train, validation] = self.bytes();
        if train.min(validation) <= context {
            bail!(
                "--context is {context}: the text has {train} bytes for training and {validation} for validation, and needs more than that of either"
            );
        }
        Ok(())
    }

    /// Windows of `length` bytes from anywhere in the training text, which depend on seed and step alone.
    pub fn batch(&self, [seed, step]: [u64; 2], count: usize, length: usize) -> Vec<&[u8]> {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&step.to_le_bytes());
        let mut random = ChaCha8Rng::from_seed(key);
        let mut window = || {
            let start = random.random_range(0..=self.train.len() - length);
            &self.train[start..start + length]
        };
        (0..count).map(|_| window()).collect()
    }

    /// At most `count` windows, evenly over the validation text; neighbours share one byte, so that none is predicted twice.
    pub fn validation(&self, count: usize, length: usize) -> Vec<&[u8]> {
        let all = (self.validation.len() - 1) / (length - 1);
        let count = count.min(all);
        let window = |index: usize| {
            let start = index * all / count * (length - 1);
            &self.validation[start..start + length]
        };
        (0..count).map(window).collect()
    }
}

/// Windows as a tensor, `[windows, length]`.
pub fn tensor(windows: &[&[u8]], device: &Device) -> Tensor<2, Int> {
    let bytes: Vec<i64> = windows.concat().into_iter().map(i64::from).collect();
    let shape = [windows.len(), bytes.len() / windows.len()];
    Tensor::from_data(TensorData::new(bytes, shape), device)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| {
        format!(
            "{}: the text is read from there; --folder names another folder",
            folder.display()
        )
    })?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || ["target", "runs"].contains(&name.as_ref()) {
            continue;
        }
        match entry.file_type()? {
            of if of.is_dir() => collect(&entry.path(), paths)?,
            of if of.is_file() => paths.push(entry.path()),
            // Links may go in circles.
            _ => {}
        }
    }
    Ok(())
}
