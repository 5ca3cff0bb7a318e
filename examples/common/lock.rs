//! One process for each folder.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Two processes in one folder would write into each other's metrics. File systems without locks have to do without.
pub fn locked(out: &Path) -> Result<Option<File>> {
    let path = out.join(".lock");
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => bail!(
            "another process trains in {} now: wait for it, or choose another --out",
            out.display()
        ),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}
