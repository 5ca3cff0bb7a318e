//! What a checkpoint's folder holds, and whether it still does.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{parse_json, read, sha256};
use crate::error::{Error, Result};

/// Version of the folder's layout; a reader refuses any other.
const VERSION: u32 = 3;
const MANIFEST: &str = "manifest.json";
pub(super) const MODEL: &str = "model.bpk";
pub(super) const OPTIMIZER: &str = "optimizer.bpk";
pub(super) const MASKS: &str = "masks.bpk";
pub(super) const HISTORY: &str = "history.bpk";
pub(super) const STATE: &str = "state.cbor";
/// Only of perturbations that remember.
pub(super) const MEMORY: &str = "memory.bpk";
/// Only of runs that average their weights.
pub(super) const AVERAGE: &str = "average.bpk";

const REQUIRED: [&str; 5] = [MODEL, OPTIMIZER, MASKS, HISTORY, STATE];
const OPTIONAL: [&str; 2] = [MEMORY, AVERAGE];

#[derive(Serialize, Deserialize)]
struct Manifest {
    version: u32,
    /// Size and SHA-256 of each file.
    files: BTreeMap<String, (u64, String)>,
}

/// The manifest of some files: its name and content.
pub(super) fn manifest(files: &[(&str, Vec<u8>)]) -> (&'static str, Vec<u8>) {
    let entry = |content: &[u8]| (content.len() as u64, sha256(content));
    let manifest = Manifest {
        version: VERSION,
        files: files
            .iter()
            .map(|(name, content)| (name.to_string(), entry(content)))
            .collect(),
    };
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest is JSON");
    (MANIFEST, text)
}

/// The contents of a checkpoint's files, after comparing each with the manifest.
pub(super) fn verified(folder: &Path) -> Result<BTreeMap<&'static str, Vec<u8>>> {
    let path = folder.join(MANIFEST);
    let manifest: Manifest = parse_json(&path, &read(&path)?)?;
    if manifest.version != VERSION {
        let found = manifest.version;
        let reason = format!("has version {found}, this crate reads {VERSION}");
        return Err(Error::file(path, reason));
    }
    let mut files = BTreeMap::new();
    let optional = OPTIONAL.into_iter();
    let optional = optional.filter(|name| manifest.files.contains_key(*name));
    for name in REQUIRED.into_iter().chain(optional) {
        let path = folder.join(name);
        let (size, hash) = manifest
            .files
            .get(name)
            .ok_or_else(|| Error::file(&path, "is not in the manifest"))?;
        let content = read(&path)?;
        if content.len() as u64 != *size {
            let found = content.len();
            let reason = format!("has {found} bytes instead of {size}");
            return Err(Error::file(path, reason));
        }
        if sha256(&content) != *hash {
            let reason = "is damaged: its SHA-256 is not the one saved";
            return Err(Error::file(path, reason));
        }
        files.insert(name, content);
    }
    Ok(files)
}
