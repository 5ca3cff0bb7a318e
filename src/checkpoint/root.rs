//! The folders of a store, one per saved step.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::files::write_synced;
use super::manifest::manifest;
use super::partial::{self, Partial};
use crate::disk::sync_folder;
use crate::error::{Error, Result};

const PREFIX: &str = "step-";

/// A folder of checkpoints.
#[derive(Debug, Clone)]
pub(super) struct Root {
    path: PathBuf,
    /// Checkpoints of this run: those that were there when it began, and what it has saved since.
    /// What else appears is another process's, and stays.
    own: Arc<Mutex<BTreeSet<String>>>,
}

impl Root {
    /// Opens a folder, creating it if need be, and clears it of what interrupted saves left.
    pub fn open(path: PathBuf) -> Result<Self> {
        let prepare = || -> io::Result<()> {
            fs::create_dir_all(&path)?;
            partial::clear(&path)
        };
        prepare().map_err(|error| Error::file(&path, "cannot be prepared").caused_by(error))?;
        let root = Self {
            path,
            own: Arc::default(),
        };
        *root.own() = root.names()?.into_iter().collect();
        Ok(root)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn own(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the files of a step under a temporary name and renames the folder.
    pub fn commit(&self, files: &[(&str, Vec<u8>)], steps: u64) -> Result<PathBuf> {
        let unwritable =
            |error: io::Error| Error::file(&self.path, "cannot be written").caused_by(error);
        let partial = Partial::new(&self.path).map_err(unwritable)?;
        for (name, content) in files {
            write_synced(&partial.path().join(name), content)?;
        }
        let (name, content) = manifest(files);
        write_synced(&partial.path().join(name), &content)?;
        sync_folder(partial.path()).map_err(unwritable)?;
        let (earlier, target) = self.place(partial.path(), steps).map_err(unwritable)?;
        sync_folder(&self.path).map_err(unwritable)?;
        let mut own = self.own();
        for name in earlier.iter().filter(|name| own.contains(*name)) {
            fs::remove_dir_all(self.path.join(name)).map_err(unwritable)?;
        }
        own.insert(target.clone());
        Ok(self.path.join(target))
    }

    /// Renames a folder to a step's name that is free; also returns the names of that step before.
    ///
    /// A step that was saved before keeps its folder until the new one is there under a later name:
    /// at no moment is there no whole checkpoint of it.
    fn place(&self, partial: &Path, steps: u64) -> io::Result<(Vec<String>, String)> {
        loop {
            let earlier = self.of_step(steps)?;
            let target = match earlier.len() {
                0 => name_of(steps),
                _ => later_name(&earlier, steps),
            };
            match fs::rename(partial, self.path.join(&target)) {
                Ok(()) => return Ok((earlier, target)),
                // Another process was faster with this name.
                Err(error) if is_taken(&error) => continue,
                Err(error) => return Err(error),
            }
        }
    }

    /// Names of the folders that hold a step, oldest first.
    fn of_step(&self, steps: u64) -> io::Result<Vec<String>> {
        let mut names = self.listed()?;
        let (exact, again) = (name_of(steps), format!("{}-", name_of(steps)));
        names.retain(|name| *name == exact || name.starts_with(&again));
        Ok(names)
    }

    /// Names of all checkpoints, whole or not, oldest first.
    pub fn names(&self) -> Result<Vec<String>> {
        self.listed()
            .map_err(|error| Error::file(&self.path, "cannot be listed").caused_by(error))
    }

    fn listed(&self) -> io::Result<Vec<String>> {
        let mut names: Vec<String> = fs::read_dir(&self.path)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with(PREFIX))
            .collect();
        names.sort();
        Ok(names)
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists
    )
}

fn name_of(steps: u64) -> String {
    format!("{PREFIX}{steps:010}")
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
