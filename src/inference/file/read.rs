//! Reading networks.

use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;
use safetensors::tensor::{Metadata, TensorView};

use super::tensors::constants;
use super::{Description, Header, KEY, OLDEST, VERSION, checksum};
use crate::error::{Error, Fault, Faulty, Result};
use crate::inference::SparseNetwork;
use crate::inference::graph::{Constant, Graph};

impl SparseNetwork {
    /// Loads a network that [`save`](Self::save) wrote.
    ///
    /// Everything is checked before anything is computed: the sum, the order of operations, shapes,
    /// sizes and numbers of values. A file takes time and memory in proportion to its size to load;
    /// what a run takes, its operations say.
    ///
    /// # Errors
    ///
    /// If the file is damaged, of another version, or has operations that this build does not have
    /// (burn's, without the feature `interpreter`).
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|error| Error::file(path, "cannot be read").caused_by(error))?;
        Self::from_bytes(&bytes).map_err(|error| Error::in_file(path, error))
    }

    /// [`load`](Self::load) from the contents of a file.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let graph = read(bytes).map_err(Error::network)?;
        Self::planned(graph)
    }
}

fn read(bytes: &[u8]) -> Faulty<Graph> {
    let refused = Fault::by("not a safetensors file");
    let (_, metadata): (usize, Metadata) = SafeTensors::read_metadata(bytes).map_err(refused)?;
    let file = SafeTensors::deserialize(bytes).map_err(refused)?;
    let header = metadata
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(KEY));
    let header = header.ok_or_else(|| format!("its metadata have no `{KEY}`"))?;
    let damaged = Fault::by("what its metadata say of the network cannot be read");
    let version: serde_json::Value = serde_json::from_str(header).map_err(damaged)?;
    let version = version.get("version").unwrap_or(&serde_json::Value::Null);
    if !(OLDEST..=VERSION).any(|known| *version == known) {
        let valid = format!("this crate reads {OLDEST} to {VERSION}");
        return Err(format!("it has version {version}, {valid}").into());
    }
    let Header { graph, sha256, .. } = serde_json::from_str(header).map_err(damaged)?;
    let views: Vec<(&str, TensorView<'_>)> = file.iter().collect();
    let parts = views.iter().map(|(name, view)| {
        let dtype = format!("{:?}", view.dtype());
        (*name, dtype, view.shape(), view.data())
    });
    if checksum(&graph, parts) != sha256 {
        return Err("its contents do not have the SHA-256 that it names: it is damaged".into());
    }
    let Description {
        tensors,
        mut paths,
        inputs,
        outputs,
        nodes,
        is_each,
    } = serde_json::from_str(&graph).map_err(damaged)?;
    let sizes: Vec<usize> = tensors
        .iter()
        .map(|tensor| {
            tensor
                .shape
                .iter()
                .fold(1, |count: usize, size| count.saturating_mul(*size))
        })
        .collect();
    let constants = constants(&file, |id| sizes.get(id).copied())?.into_iter();
    let constants = constants.map(|(id, data)| {
        let path = paths.remove(&id);
        (
            id,
            Constant {
                data: Arc::new(data),
                path,
            },
        )
    });
    let graph = Graph {
        constants: constants.collect(),
        tensors,
        inputs,
        outputs,
        nodes,
        is_each,
        ..Graph::default()
    };
    match paths.is_empty() {
        true => Ok(graph),
        false => Err("it has paths of what are no constants".into()),
    }
}
