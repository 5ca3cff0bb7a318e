//! Networks as ONNX files, for any other engine: opset 18, dense weights.

mod layers;
mod moves;
mod programs;
mod proto;
mod writer;

use std::path::Path;

use prost::Message;

use super::SparseNetwork;
use super::graph::{Data, Kind};
use crate::disk::write_atomically;
use crate::error::{Error, Result};
use writer::Writer;

impl SparseNetwork {
    /// Writes the network as an ONNX model of opset 18, dead weights as zeros.
    ///
    /// Its shapes are those that the network was compiled for: one image, or the whole batch of
    /// `CompileConfig::with_whole_batch`.
    ///
    /// # Errors
    ///
    /// If operations were left to burn that have no words in ONNX here (the message names them), or
    /// the file cannot be written.
    pub fn save_onnx(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomically(path.as_ref(), &self.to_onnx()?)
    }

    /// The contents of the file that [`save_onnx`](Self::save_onnx) writes.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn to_onnx(&self) -> Result<Vec<u8>> {
        let graph = self.graph();
        let mut writer = Writer::new(&graph);
        let mut unknown: Vec<String> = Vec::new();
        for node in &graph.nodes {
            if let Err(name) = writer.node(node)
                && !unknown.contains(&name)
            {
                unknown.push(name);
            }
        }
        if !unknown.is_empty() {
            return Err(Error::network(format!(
                "ONNX cannot be written for {}",
                unknown.join(", ")
            )));
        }
        let model = proto::Model {
            ir_version: 8,
            producer_name: env!("CARGO_PKG_NAME").to_string(),
            producer_version: env!("CARGO_PKG_VERSION").to_string(),
            opset_import: vec![proto::OperatorSet {
                domain: String::new(),
                version: 18,
            }],
            graph: Some(writer.finish()),
        };
        Ok(model.encode_to_vec())
    }
}

/// ONNX's numbers of types.
fn data_type(kind: Kind) -> i32 {
    match kind {
        Kind::Float => 1,
        Kind::Int => 6,
        Kind::Bool => 9,
    }
}

/// The bytes of a constant.
fn raw(data: &Data, kind: Kind) -> Vec<u8> {
    match (data, kind) {
        (Data::Float(numbers), _) => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        (Data::Int(numbers), Kind::Bool) => numbers.iter().map(|x| u8::from(*x != 0)).collect(),
        (Data::Int(numbers), _) => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}
