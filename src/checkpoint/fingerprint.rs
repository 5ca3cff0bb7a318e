//! One number for all weights.

use burn::module::Module;
use sha2::{Digest, Sha256};

use super::files::hex;
use crate::tree;

/// SHA-256 over names and values of all float tensors of a model, running statistics included.
///
/// Equal fingerprints mean equal bits. Parameter ids, which burn draws at random, do not enter.
pub fn fingerprint<M: Module>(model: &M) -> String {
    let mut tensors = tree::named_tensors(model);
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut hash = Sha256::new();
    for (path, data) in tensors {
        hash.update((path.len() as u64).to_le_bytes());
        hash.update(path.as_bytes());
        hash.update(data.as_bytes());
    }
    hex(&hash.finalize())
}
