//! Folders that are being written.
//!
//! Each has a file beside it that its writer has locked. The system takes the lock away when the
//! writer ends, however it ends, so that what a killed process left can be told from what another
//! process is at.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::disk::new_file;

const PREFIX: &str = ".partial-";
const LOCK: &str = ".lock";

/// A new folder, gone with this value unless it was renamed.
pub(super) struct Partial {
    folder: PathBuf,
    /// Dropped behind the folder.
    _lock: NamedTempFile,
}

impl Partial {
    pub fn new(root: &Path) -> io::Result<Self> {
        loop {
            let lock = new_file().prefix(PREFIX).suffix(LOCK).tempfile_in(root)?;
            let locked = lock.as_file().try_lock();
            // Whoever clears leftovers may have found the file before it was locked. Without locks
            // nobody clears anything.
            if matches!(locked, Err(TryLockError::WouldBlock)) || !lock.path().exists() {
                continue;
            }
            // The lock is there first: a folder without one is nobody's.
            let folder = folder_of(lock.path());
            fs::create_dir(&folder)?;
            return Ok(Self {
                folder,
                _lock: lock,
            });
        }
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It is not there any more if it was renamed; what cannot be removed now is cleared later.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes what interrupted saves left behind, and nothing that a living process writes.
pub(super) fn clear(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with(PREFIX) {
            continue;
        }
        let (folder, lock) = match name.ends_with(LOCK) {
            true => (folder_of(&path), path.clone()),
            false => (path.clone(), root.join(format!("{name}{LOCK}"))),
        };
        let opened = File::open(&lock);
        let is_free = match &opened {
            Ok(file) => file.try_lock().is_ok(),
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        if !is_free {
            continue;
        }
        absent_is_fine(fs::remove_dir_all(folder))?;
        absent_is_fine(fs::remove_file(lock))?;
    }
    Ok(())
}

fn folder_of(lock: &Path) -> PathBuf {
    lock.with_extension("")
}

fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
