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
use crate::optim::SharpOptimizer;
use crate::perturb::Perturbation;
use crate::sparse::Sparsity;
use crate::tree;

/// Version of the folder's layout; a reader refuses any other.
const VERSION: u32 = 1;
const MANIFEST: &str = "manifest.json";
const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const MASKS: &str = "masks.bpk";
const STATE: &str = "state.json";
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
        let (masks, method_state) = sparsity.to_parts()?;
        let state = State {
            steps: optim.steps(),
            method: sparsity.method().name().to_string(),
            method_state,
            progress,
        };
        let state = serde_json::to_vec_pretty(&state)
            .map_err(|error| Error::file(&self.root, format!("progress is not JSON: {error}")))?;
        // `valid` folds in the running statistics that burn keeps pending.
        let model = model.valid().into_record().into_bytes();
        let model = model.map_err(|error| Error::file(&self.root, error))?;
        let files: [(&str, &[u8]); 4] = [
            (MODEL, &model),
            (OPTIMIZER, &optim.to_bytes()?),
            (MASKS, &masks),
            (STATE, &state),
        ];
        self.commit(&files, &self.folder(optim.steps()))
    }

    /// Writes the files under a temporary name and renames the folder.
    fn commit(&self, files: &[(&str, &[u8])], target: &Path) -> Result<PathBuf> {
        let unwritable = |error| Error::file(target, format!("cannot be written: {error}"));
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
        if target.exists() {
            // The same step was saved before. It is either the same checkpoint or a damaged one; moving
            // it aside, where `open` clears up, keeps a whole folder at the target's name.
            let aside = self
                .root
                .join(format!("{PARTIAL}{}", partial_name(partial.path())));
            fs::rename(target, &aside).map_err(unwritable)?;
            fs::rename(partial.path(), target).map_err(unwritable)?;
            fs::remove_dir_all(&aside).map_err(unwritable)?;
        } else {
            fs::rename(partial.path(), target).map_err(unwritable)?;
        }
        sync_folder(&self.root).map_err(unwritable)?;
        Ok(target.to_path_buf())
    }

    /// The newest checkpoint that is whole, or `None` if there is no checkpoint at all.
    ///
    /// Damaged ones are passed over with a warning in the log.
    ///
    /// # Errors
    ///
    /// If there are checkpoints but every one is damaged.
    pub fn latest(&self) -> Result<Option<PathBuf>> {
        let entries = fs::read_dir(&self.root);
        let entries = entries.map_err(|error| Error::file(&self.root, error))?;
        let mut folders: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.file_name().is_some_and(is_checkpoint))
            .collect();
        folders.sort();
        let mut newest_damage = None;
        for folder in folders.into_iter().rev() {
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
        let unfit = |error: burn::store::RecordError| Error::Mismatch {
            what: "the checkpoint's model",
            reason: error.to_string(),
        };
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(take(MODEL))).map_err(unfit)?;
        // Loading writes running statistics through a lock that clones of the model share.
        let model = tree::twin(&model).try_load_record(record).map_err(unfit)?;
        let optim = optim.from_bytes(Bytes::from_bytes_vec(take(OPTIMIZER)), state.steps)?;
        let masks = Bytes::from_bytes_vec(take(MASKS));
        sparsity.load_parts(&model, masks, state.method_state)?;
        Ok((model, optim, state.progress))
    }

    fn folder(&self, steps: u64) -> PathBuf {
        self.root.join(format!("step-{steps:010}"))
    }
}

fn is_checkpoint(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("step-")
}

fn partial_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("old-{}", name.trim_start_matches(PARTIAL))
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
    for name in [MODEL, OPTIMIZER, MASKS, STATE] {
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
