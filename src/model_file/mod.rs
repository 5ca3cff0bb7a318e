//! Models in safetensors files: PyTorch's in, sparse ones out and in, with what is to be said of
//! them.
//!
//! | | |
//! |---|---|
//! | [`save_model`], [`SaveOptions`] | write a model, with a [`Card`] if it is to stand alone |
//! | [`load`] | makes the model that a file describes |
//! | [`load_model`], [`load_model_except`] | read a file into a model that you made |
//! | [`start_from`] | starts training from a file, for other classes too |
//! | [`read_card`], [`shapes`] | what a file says, and the shapes of its tensors |
//! | [`Configuration`] | what makes a model loadable by its configuration: yours, too |
//!
//! Tensors carry PyTorch's names and layout, so that files travel both ways: a norm's `gamma` and
//! `beta` are `weight` and `bias`, and the weight of a linear layer is `[out, in]`. A masked weight
//! is stored as two tensors, whose size follows the number of live weights:
//!
//! | tensor | type | holds |
//! |---|---|---|
//! | `NAME.live` | `U8`, `[⌈n/8⌉]` | one bit per position, the lowest bit first |
//! | `NAME.values` | `F32`, `[live]` | the live values, in the order of positions |
//!
//! Its shape, the card, the format's version and a SHA-256 over everything are in the file's
//! metadata, as one JSON document under one key, so that equal models give equal files to the byte.
//! Ten lines of Python read it (`docs/MODEL_FILES.md`).

mod card;
mod configuration;
mod contents;
mod foreign;
mod input;
mod names;
mod open;
mod pytorch;
mod read;
mod safe;
mod transfer;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use card::{Card, Saved};
pub use configuration::Configuration;
pub use input::{Input, Resampling, Resize};
pub use read::{Loaded, load, load_model, load_model_except, read_card, shapes};
pub use transfer::{Start, start_from};
pub use write::{SaveOptions, save_model};

/// Versions that this crate reads and writes: without a card, and with one.
const READS: [u32; 2] = [2, 3];
/// The only key of the metadata: safetensors keeps keys in a hash map, whose order differs from
/// file to file.
const KEY: &str = "zosam";
const LIVE: &str = ".live";
const VALUES: &str = ".values";

/// What the metadata say.
#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    /// PyTorch's shapes of masked weights.
    shapes: BTreeMap<String, Vec<usize>>,
    sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    card: Option<Value>,
}

/// SHA-256 over names, types, shapes and contents, in the order of names, and the card.
fn checksum<'a>(
    shapes: &BTreeMap<String, Vec<usize>>,
    card: Option<&Value>,
    tensors: impl Iterator<Item = (&'a str, String, &'a [usize], &'a [u8])>,
) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(format!("{shapes:?}").as_bytes());
    if let Some(card) = card {
        // Keys are in order and numbers in their shortest form, in memory as in the file.
        part(card.to_string().as_bytes());
    }
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
