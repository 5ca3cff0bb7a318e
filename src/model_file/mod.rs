//! Models in safetensors files: PyTorch's in, sparse ones out and in.
//!
//! Tensors carry PyTorch's names and layout, so that files travel both ways: a norm's `gamma` and `beta` are `weight`
//! and `bias`, and the weight of a linear layer is `[out, in]`. A masked weight is stored as two tensors, whose size
//! follows the number of live weights:
//!
//! | tensor | type | holds |
//! |---|---|---|
//! | `NAME.live` | `U8`, `[⌈n/8⌉]` | one bit per position, the lowest bit first |
//! | `NAME.values` | `F32`, `[live]` | the live values, in the order of positions |
//!
//! Its shape, the format's version and a SHA-256 over everything are in the file's metadata. Ten lines of Python read it
//! (`docs/MODEL_FILES.md`).

mod contents;
mod names;
mod pytorch;
mod read;
mod safe;
mod write;

pub use read::{load_model, load_model_except, shapes};
pub use write::save_model;

/// Versions that this crate reads: its own.
const VERSION: &str = "1";
const VERSION_KEY: &str = "zosam";
const SHAPES_KEY: &str = "zosam.shapes";
const SUM_KEY: &str = "zosam.sha256";
const LIVE: &str = ".live";
const VALUES: &str = ".values";

/// SHA-256 over names, types, shapes and contents, in the order of names.
fn checksum<'a>(
    shapes: &str,
    tensors: impl Iterator<Item = (&'a str, String, &'a [usize], &'a [u8])>,
) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(shapes.as_bytes());
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_by_key(|(name, ..)| *name);
    for (name, dtype, shape, data) in tensors {
        part(name.as_bytes());
        part(dtype.as_bytes());
        part(format!("{shape:?}").as_bytes());
        part(data);
    }
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
