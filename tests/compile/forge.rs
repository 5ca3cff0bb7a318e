//! Network files put together by hand, with a sum that is right.

use std::collections::HashMap;

use safetensors::tensor::TensorView;
use sha2::{Digest, Sha256};

/// A file of a graph, in JSON, and the tensors of its constants.
pub fn forge(graph: &str, mut tensors: Vec<(&str, TensorView<'_>)>) -> Vec<u8> {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(graph.as_bytes());
    tensors.sort_by_key(|(name, _)| *name);
    for (name, view) in &tensors {
        part(name.as_bytes());
        part(format!("{:?}", view.dtype()).as_bytes());
        part(format!("{:?}", view.shape()).as_bytes());
        part(view.data());
    }
    let digest = hash.finalize();
    let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let header = serde_json::json!({ "version": 1, "graph": graph, "sha256": sum });
    let metadata = HashMap::from([("zosam.network".to_string(), header.to_string())]);
    safetensors::serialize(tensors, Some(metadata)).unwrap()
}
