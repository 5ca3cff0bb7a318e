//! Reading and writing the files of a checkpoint.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result, Source};

/// Writes and syncs a new file.
pub(super) fn write_synced(path: &Path, content: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(|error| Error::file(path, "cannot be written").caused_by(error))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::file(path, "cannot be read").caused_by(error))
}

pub(super) fn parse_json<T: DeserializeOwned>(path: &Path, content: &[u8]) -> Result<T> {
    serde_json::from_slice(content).map_err(|error| not_saved(path, error))
}

/// A file that is what somebody else wrote.
pub(super) fn not_saved(path: &Path, error: impl Into<Source>) -> Error {
    Error::file(path, "is not what was saved").caused_by(error)
}

pub(super) fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
