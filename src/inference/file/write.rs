//! Writing networks.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::tensors::{Stored, stored};
use super::{Description, Header, KEY, VERSION, checksum};
use crate::disk::write_atomically;
use crate::error::{Error, Fault, Result, Source};
use crate::inference::SparseNetwork;

impl SparseNetwork {
    /// Writes the network to a file, from which [`load`](Self::load) makes it without the module.
    ///
    /// Weights of which few live take a bit each and 4 bytes for those that do. The file appears
    /// whole or not at all.
    ///
    /// ```
    /// # #[cfg(feature = "compile")] {
    /// # use burn::{nn::{Linear, LinearConfig}, tensor::{Device, Tensor}};
    /// # use zosam::inference::SparseNetwork;
    /// # let layer = LinearConfig::new(8, 3).init(&Device::flex());
    /// # let sample = Tensor::<2>::ones([1, 8], &Device::flex());
    /// let network = SparseNetwork::compile(&layer, sample, |layer: &Linear, x| layer.forward(x))?;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("network.safetensors");
    /// network.save(&path)?;
    /// let loaded = SparseNetwork::load(&path)?;
    /// assert_eq!(loaded.logits(&[0.5; 8])?, network.logits(&[0.5; 8])?);
    /// # }
    /// # Ok::<(), zosam::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write_atomically(path.as_ref(), &self.to_bytes()?)
    }

    /// The contents of the file that [`save`](Self::save) writes.
    ///
    /// # Errors
    ///
    /// If the network has settings that no file can hold.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let graph = self.graph();
        let paths = graph.constants.iter();
        let paths = paths.filter_map(|(id, constant)| Some((*id, constant.path.clone()?)));
        let description = Description {
            paths: paths.collect::<BTreeMap<_, _>>(),
            tensors: graph.tensors.clone(),
            inputs: graph.inputs.clone(),
            outputs: graph.outputs.clone(),
            nodes: graph.nodes.clone(),
            is_each: graph.is_each,
        };
        let description = serde_json::to_string(&description).map_err(unfit)?;
        let constants = graph.constants.iter();
        let tensors: Vec<(String, Stored)> = constants
            .flat_map(|(id, constant)| stored(*id, &constant.data))
            .collect();
        let parts = tensors.iter().map(|(name, stored)| {
            let dtype = format!("{:?}", stored.dtype);
            (name.as_str(), dtype, &stored.shape[..], &stored.data[..])
        });
        let header = Header {
            version: VERSION,
            sha256: checksum(&description, parts),
            graph: description,
        };
        let header = serde_json::to_string(&header).map_err(unfit)?;
        let metadata = HashMap::from([(KEY.to_string(), header)]);
        let tensors = tensors.iter().map(|(name, stored)| (name, stored));
        safetensors::serialize(tensors, Some(metadata)).map_err(unfit)
    }
}

/// The error of a network that another library refuses to write.
fn unfit(error: impl Into<Source>) -> Error {
    Error::network(Fault::by("it cannot be written")(error))
}
