//! Saving and loading checkpoints.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::files::not_saved;
use super::manifest::{AVERAGE, HISTORY, MASKS, MEMORY, MODEL, OPTIMIZER, STATE, verified};
use super::root::Root;
use crate::error::{Chain, Error, Result};
use crate::optim::{SharpOptimizer, WeightAverage};
use crate::perturb::Perturbation;
use crate::sparse::{Sparsity, SparsityParts, Work};
use crate::tree;

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
///
/// Several processes may have one open: none removes what another writes or has saved since. Two
/// runs in one folder are still a mistake, because the newest checkpoint is either's;
/// [`claim`](super::claim) keeps different configurations apart.
#[derive(Debug, Clone)]
pub struct Store {
    root: Root,
}

impl Store {
    /// Opens a folder, creating it if need be, and removes what an interrupted save left behind.
    ///
    /// # Errors
    ///
    /// If the folder cannot be created or read.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = Root::open(root.into())?;
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
        T: Serialize,
    {
        let parts = sparsity.to_parts()?;
        let state = State {
            steps: optim.steps(),
            method: sparsity.plan().name.to_string(),
            method_state: parts.method,
            work: parts.work,
            progress,
        };
        let unfit = |error: ciborium::ser::Error<_>| {
            Error::file(self.root.path(), "progress cannot be encoded").caused_by(error)
        };
        let mut encoded = Vec::new();
        ciborium::into_writer(&state, &mut encoded).map_err(unfit)?;
        let mut files: Vec<(&str, Vec<u8>)> = vec![
            (MODEL, self.record(model)?),
            (OPTIMIZER, optim.to_bytes()?.to_vec()),
            (MASKS, parts.masks.to_vec()),
            (HISTORY, parts.history.to_vec()),
            (STATE, encoded),
        ];
        if !optim.memory().is_empty() {
            files.push((MEMORY, optim.memory_to_bytes()?.to_vec()));
        }
        if let Some(average) = average {
            files.push((AVERAGE, self.record(average.model())?));
        }
        self.root.commit(&files, optim.steps())
    }

    fn record<M: Module>(&self, model: &M) -> Result<Vec<u8>> {
        // `valid` folds in the running statistics that burn keeps pending.
        let bytes = model.valid().into_record().into_bytes();
        let bytes = bytes.map_err(|error| {
            Error::file(self.root.path(), "the model cannot be written as a record")
                .caused_by(error)
        })?;
        Ok(bytes.to_vec())
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
        for name in self.root.names()?.into_iter().rev() {
            let folder = self.root.path().join(name);
            match verified(&folder) {
                Ok(_) => return Ok(Some(folder)),
                Err(error) => {
                    log::warn!("passing over a damaged checkpoint: {}", Chain(&error));
                    newest_damage.get_or_insert(error);
                }
            }
        }
        newest_damage.map_or(Ok(None), Err)
    }

    /// Loads a checkpoint into a model, an optimizer and a sparsity method of the same
    /// configuration as those that were saved.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the checkpoint is damaged, [`Error::Mismatch`] if it belongs to another
    /// model, optimizer or method. Nothing is loaded then, neither into clones of `model`.
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
        T: DeserializeOwned,
    {
        let mut files = verified(folder)?;
        let mut take = |name: &str| files.remove(name).expect("verification covers every file");
        let state: State<T> = ciborium::from_reader(&take(STATE)[..])
            .map_err(|error| not_saved(&folder.join(STATE), error))?;
        if state.method != sparsity.plan().name {
            return Err(Error::mismatch(
                "the checkpoint",
                format!(
                    "it was saved by method `{}`, not `{}`",
                    state.method,
                    sparsity.plan().name
                ),
            ));
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
                let record = files.remove(AVERAGE).ok_or(Error::mismatch(
                    "the checkpoint",
                    "it was saved without an average of the weights",
                ))?;
                let model = loaded(average.model(), record, "the checkpoint's average")?;
                Some(average.with_model(model))
            }
        };
        let read = sparsity.read_parts(&model, parts)?;
        let optim = match files.remove(MEMORY) {
            Some(bytes) => optim.with_memory(Bytes::from_bytes_vec(bytes), &model, read.masks())?,
            None => optim,
        };
        // The last that may fail, and it changes nothing then.
        sparsity.take_over(read)?;
        Ok((model, optim, state.progress, average))
    }
}

/// A copy of a model with the tensors of a record.
fn loaded<M: Module>(model: &M, record: Vec<u8>, what: &'static str) -> Result<M> {
    let damaged = |error| Error::record(what, error);
    let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(record)).map_err(damaged)?;
    let refused = |error| Error::mismatch(what, "its record has other parameters").caused_by(error);
    tree::loadable(model)
        .try_load_record(record)
        .map_err(refused)
}
