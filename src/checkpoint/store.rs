//! Saving and loading checkpoints.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::Optimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::files::{parse_json, read, sha256, sync_folder, write_synced};
use crate::error::{Error, Result};
use crate::optim::{SharpOptimizer, WeightAverage};
use crate::perturb::Perturbation;
use crate::sparse::{Sparsity, SparsityParts, Work};
use crate::tree;

/// Version of the folder's layout; a reader refuses any other.
const VERSION: u32 = 2;
const MANIFEST: &str = "manifest.json";
const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const MASKS: &str = "masks.bpk";
const HISTORY: &str = "history.bpk";
const STATE: &str = "state.json";
/// Only of perturbations that remember.
const MEMORY: &str = "memory.bpk";
/// Only of runs that average their weights.
const AVERAGE: &str = "average.bpk";
/// Prefix of checkpoints.
const PREFIX: &str = "step-";
/// Prefix of folders that are being written.
const PARTIAL: &str = ".partial-";

#[derive(Serialize, Deserialize)]
struct Manifest {
    version: u32,
    /// Size and SHA-256 of each file.
    files: BTreeMap<String, (u64, String)>,
}

#[derive(Serialize, Deserialize)]
struct State<T> {
    steps: u64,
    method: String,
    method_state: serde_json::Value,
    #[serde(default)]
    work: Work,
    progress: T,
}

/// A folder of checkpoints, one sub-folder each, named by step number.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens a folder, creating it if need be, and removes what an interrupted save left behind.
    ///
    /// # Errors
    ///
    /// If the folder cannot be created or read.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let prepare = || -> std::io::Result<()> {
            fs::create_dir_all(&root)?;
            for entry in fs::read_dir(&root)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                    fs::remove_dir_all(entry.path())?;
                }
            }
            Ok(())
        };
        prepare().map_err(|error| Error::file(&root, format!("cannot be prepared: {error}")))?;
        Ok(Self { root })
    }

    /// Saves everything that a run needs to go on, and returns the checkpoint's folder.
    ///
    /// `progress` is the caller's: epoch, position in the data, metrics so far.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written. Earlier checkpoints are never touched.
    pub fn save<M, P, O, T>(
        &self,
        model: &M,
        optim: &SharpOptimizer<P, O>,
        sparsity: &Sparsity,
        progress: &T,
    ) -> Result<PathBuf>
    where
        M: Module,
        P: Perturbation,
        O: Optimizer,
        T: Serialize,
    {
        self.save_averaged(model, optim, sparsity, progress, None)
    }

    /// As [`save`](Self::save), with the average of the weights, if there is one.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    pub fn save_averaged<M, P, O, T>(
        &self,
        model: &M,
        optim: &SharpOptimizer<P, O>,
        sparsity: &Sparsity,
        progress: &T,
        average: Option<&WeightAverage<M>>,
    ) -> Result<PathBuf>
    where
        M: Module,
        P: Perturbation,
        O: Optimizer,
        T: Serialize,
    {
        let parts = sparsity.to_parts()?;
        let state = State {
            steps: optim.steps(),
            method: sparsity.method().name().to_string(),
            method_state: parts.method,
            work: parts.work,
            progress,
        };
        let state = serde_json::to_vec_pretty(&state)
            .map_err(|error| Error::file(&self.root, format!("progress is not JSON: {error}")))?;
        let mut files: Vec<(&str, Vec<u8>)> = vec![
            (MODEL, self.record(model)?),
            (OPTIMIZER, optim.to_bytes()?.to_vec()),
            (MASKS, parts.masks.to_vec()),
            (HISTORY, parts.history.to_vec()),
            (STATE, state),
        ];
        if !optim.memory().is_empty() {
            files.push((MEMORY, optim.memory_to_bytes()?.to_vec()));
        }
        if let Some(average) = average {
            files.push((AVERAGE, self.record(average.model())?));
        }
        self.commit(&files, optim.steps())
    }

    fn record<M: Module>(&self, model: &M) -> Result<Vec<u8>> {
        // `valid` folds in the running statistics that burn keeps pending.
        let bytes = model.valid().into_record().into_bytes();
        let bytes = bytes.map_err(|error| Error::file(&self.root, error))?;
        Ok(bytes.to_vec())
    }

    /// Writes the files under a temporary name and renames the folder.
    fn commit(&self, files: &[(&str, Vec<u8>)], steps: u64) -> Result<PathBuf> {
        let target = self.root.join(name_of(steps));
        let unwritable = |error| Error::file(&self.root, format!("cannot be written: {error}"));
        let partial = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempdir_in(&self.root)
            .map_err(unwritable)?;
        let mut manifest = Manifest {
            version: VERSION,
            files: BTreeMap::new(),
        };
        for (name, content) in files {
            write_synced(&partial.path().join(name), content)?;
            let entry = (content.len() as u64, sha256(content));
            manifest.files.insert(name.to_string(), entry);
        }
        let manifest = serde_json::to_vec_pretty(&manifest).expect("a manifest is JSON");
        write_synced(&partial.path().join(MANIFEST), &manifest)?;
        sync_folder(partial.path()).map_err(unwritable)?;
        // A step that was saved before keeps its folder until the new one is there under a later name: at no
        // moment is there no whole checkpoint of it.
        let earlier = self.of_step(steps)?;
        let target = match earlier.len() {
            0 => target,
            _ => self.root.join(later_name(&earlier, steps)),
        };
        fs::rename(partial.path(), &target).map_err(unwritable)?;
        sync_folder(&self.root).map_err(unwritable)?;
        for folder in earlier {
            fs::remove_dir_all(self.root.join(folder)).map_err(unwritable)?;
        }
        Ok(target)
    }

    /// The newest checkpoint that is whole, or `None` if there is no checkpoint at all.
    ///
    /// Damaged ones are passed over with a warning in the log.
    ///
    /// # Errors
    ///
    /// If there are checkpoints but every one is damaged.
    pub fn latest(&self) -> Result<Option<PathBuf>> {
        let mut newest_damage = None;
        for name in self.names()?.into_iter().rev() {
            let folder = self.root.join(name);
            match verified(&folder) {
                Ok(_) => return Ok(Some(folder)),
                Err(error) => {
                    log::warn!("passing over a damaged checkpoint: {error}");
                    newest_damage.get_or_insert(error);
                }
            }
        }
        newest_damage.map_or(Ok(None), Err)
    }

    /// Loads a checkpoint into a model, an optimizer and a sparsity method of the same configuration as
    /// those that were saved.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the checkpoint is damaged, [`Error::Mismatch`] if it belongs to another model,
    /// optimizer or method. Nothing is loaded then, neither into clones of `model`.
    pub fn load<M, P, O, T>(
        &self,
        folder: &Path,
        model: M,
        optim: SharpOptimizer<P, O>,
        sparsity: &mut Sparsity,
    ) -> Result<(M, SharpOptimizer<P, O>, T)>
    where
        M: Module,
        P: Perturbation,
        O: Optimizer,
        T: DeserializeOwned,
    {
        let (model, optim, progress, _) =
            self.load_averaged(folder, model, optim, sparsity, None)?;
        Ok((model, optim, progress))
    }

    /// As [`load`](Self::load), with the average of the weights if one was begun of `model`.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), and if the checkpoint has no average that fits.
    #[allow(clippy::type_complexity, reason = "four things that belong together")]
    pub fn load_averaged<M, P, O, T>(
        &self,
        folder: &Path,
        model: M,
        optim: SharpOptimizer<P, O>,
        sparsity: &mut Sparsity,
        average: Option<WeightAverage<M>>,
    ) -> Result<(M, SharpOptimizer<P, O>, T, Option<WeightAverage<M>>)>
    where
        M: Module,
        P: Perturbation,
        O: Optimizer,
        T: DeserializeOwned,
    {
        let mut files = verified(folder)?;
        let mut take = |name: &str| files.remove(name).expect("verification covers every file");
        let state: State<T> = parse_json(&folder.join(STATE), &take(STATE))?;
        if state.method != sparsity.method().name() {
            return Err(Error::Mismatch {
                what: "the checkpoint",
                reason: format!(
                    "it was saved by method `{}`, not `{}`",
                    state.method,
                    sparsity.method().name()
                ),
            });
        }
        let record = take(MODEL);
        let optim = optim.from_bytes(Bytes::from_bytes_vec(take(OPTIMIZER)), state.steps)?;
        let parts = SparsityParts {
            masks: Bytes::from_bytes_vec(take(MASKS)),
            history: Bytes::from_bytes_vec(take(HISTORY)),
            method: state.method_state,
            work: state.work,
        };
        let model = loaded(&model, record, "the checkpoint's model")?;
        let average = match average {
            None => None,
            Some(average) => {
                let record = files.remove(AVERAGE).ok_or(Error::Mismatch {
                    what: "the checkpoint",
                    reason: "it was saved without an average of the weights".to_string(),
                })?;
                let model = loaded(average.model(), record, "the checkpoint's average")?;
                Some(average.with_model(model))
            }
        };
        sparsity.load_parts(&model, parts)?;
        let optim = match files.remove(MEMORY) {
            Some(bytes) => {
                optim.with_memory(Bytes::from_bytes_vec(bytes), &model, sparsity.masks())?
            }
            None => optim,
        };
        Ok((model, optim, state.progress, average))
    }

    /// Names of the folders that hold a step, oldest first.
    fn of_step(&self, steps: u64) -> Result<Vec<String>> {
        let mut names = self.names()?;
        let (exact, again) = (name_of(steps), format!("{}-", name_of(steps)));
        names.retain(|name| *name == exact || name.starts_with(&again));
        Ok(names)
    }

    /// Names of all checkpoints, whole or not, oldest first.
    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.root).map_err(|error| Error::file(&self.root, error))?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with(PREFIX))
            .collect();
        names.sort();
        Ok(names)
    }
}

fn name_of(steps: u64) -> String {
    format!("{PREFIX}{steps:010}")
}

/// A copy of a model with the tensors of a record.
fn loaded<M: Module>(model: &M, record: Vec<u8>, what: &'static str) -> Result<M> {
    let unfit = |error: burn::store::RecordError| Error::Mismatch {
        what,
        reason: error.to_string(),
    };
    let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(record)).map_err(unfit)?;
    tree::loadable(model).try_load_record(record).map_err(unfit)
}

/// A name for the same step that sorts after those there are.
fn later_name(earlier: &[String], steps: u64) -> String {
    let number = |name: &String| name.rsplit('-').next().and_then(|n| n.parse::<u64>().ok());
    let again = earlier
        .iter()
        .filter(|name| name.len() > name_of(steps).len());
    let last = again.filter_map(number).max().unwrap_or(0);
    format!("{}-{:010}", name_of(steps), last + 1)
}

/// The contents of a checkpoint's files, after comparing each with the manifest.
fn verified(folder: &Path) -> Result<BTreeMap<&'static str, Vec<u8>>> {
    let path = folder.join(MANIFEST);
    let manifest: Manifest = parse_json(&path, &read(&path)?)?;
    if manifest.version != VERSION {
        return Err(Error::file(
            path,
            format!(
                "has version {}, this crate reads {VERSION}",
                manifest.version
            ),
        ));
    }
    let mut files = BTreeMap::new();
    let optional = [MEMORY, AVERAGE].into_iter();
    let optional = optional.filter(|name| manifest.files.contains_key(*name));
    for name in [MODEL, OPTIMIZER, MASKS, HISTORY, STATE]
        .into_iter()
        .chain(optional)
    {
        let path = folder.join(name);
        let (size, hash) = manifest
            .files
            .get(name)
            .ok_or_else(|| Error::file(&path, "is not in the manifest"))?;
        let content = read(&path)?;
        if content.len() as u64 != *size {
            let found = content.len();
            return Err(Error::file(
                path,
                format!("has {found} bytes instead of {size}"),
            ));
        }
        if sha256(&content) != *hash {
            return Err(Error::file(
                path,
                "is damaged: its SHA-256 is not the one saved",
            ));
        }
        files.insert(name, content);
    }
    Ok(files)
}
