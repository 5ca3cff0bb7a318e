//! Networks in files: the graph and the weights in one safetensors file, run without the Rust type
//! that made it.
//!
//! | tensor | type | holds |
//! |---|---|---|
//! | `N` | `F32`, `I32` | the constant of tensor N |
//! | `N.live`, `N.values` | `U8`, `F32` | the same where many numbers are zero: one bit for each, the lowest first, and the others in order |
//!
//! The format's version, the graph and a SHA-256 over everything are in the file's metadata, as one
//! JSON document under one key.

mod read;
mod tensors;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::graph::{Id, Node, Tensor};

/// The version that this crate writes. Since 2 products can have an upper bound.
const VERSION: u32 = 2;
/// The oldest version that it reads.
const OLDEST: u32 = 1;
/// The only key of the metadata: safetensors keeps keys in a hash map, whose order differs from
/// file to file.
const KEY: &str = "zosam.network";
const LIVE: &str = ".live";
const VALUES: &str = ".values";

/// What the metadata say.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    /// The [`Description`] in JSON, as it was summed.
    graph: String,
    sha256: String,
}

/// A graph without the numbers of its constants.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    tensors: Vec<Tensor>,
    /// Paths of the constants that are parameters.
    paths: BTreeMap<Id, String>,
    inputs: Vec<Id>,
    outputs: Vec<Id>,
    nodes: Vec<Node>,
    is_each: bool,
}

/// SHA-256 over the graph and names, types, shapes and contents of tensors, in the order of names.
fn checksum<'a>(
    graph: &str,
    tensors: impl Iterator<Item = (&'a str, String, &'a [usize], &'a [u8])>,
) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(graph.as_bytes());
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
