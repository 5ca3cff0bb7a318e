//! Safetensors files.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::DType;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorView};
use serde_json::Value;

use super::contents::{Contents, Stored};
use super::{Header, KEY, LIVE, VALUES, VERSION, checksum};

/// The tensors of a file whose sum, if it has one, is right.
pub(super) fn read(bytes: &[u8]) -> Result<Contents, String> {
    let refused = |error| format!("not a safetensors file: {error}");
    let (_, header): (usize, Metadata) = SafeTensors::read_metadata(bytes).map_err(refused)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(refused)?;
    let none = HashMap::new();
    let metadata = header.metadata().as_ref().unwrap_or(&none);
    let shapes = shapes(&tensors, metadata)?;
    let stored = tensors.iter().map(|(name, view)| {
        let stored = Stored {
            shape: view.shape().to_vec(),
            dtype: float(view.dtype()),
            bytes: view.data().to_vec(),
        };
        (name.to_string(), stored)
    });
    Ok(Contents {
        tensors: stored.collect(),
        shapes,
    })
}

/// Shapes of masked weights, of a file of ours; none of others.
fn shapes(
    tensors: &SafeTensors<'_>,
    metadata: &HashMap<String, String>,
) -> Result<BTreeMap<String, Vec<usize>>, String> {
    let parts = |name: &str| name.ends_with(LIVE) || name.ends_with(VALUES);
    let Some(header) = metadata.get(KEY) else {
        return match tensors.names().iter().any(|name| parts(name)) {
            true => Err(format!("its metadata has no `{KEY}`")),
            false => Ok(BTreeMap::new()),
        };
    };
    let header: Value = serde_json::from_str(header)
        .map_err(|error| format!("`{KEY}` in its metadata: {error}"))?;
    let version = header.get("version").unwrap_or(&header);
    if *version != VERSION {
        return Err(format!(
            "it has version {version}, this crate reads {VERSION}"
        ));
    }
    let Header { shapes, sha256, .. } = serde_json::from_value(header)
        .map_err(|error| format!("`{KEY}` in its metadata: {error}"))?;
    let views: Vec<(&str, TensorView)> = tensors.iter().collect();
    let parts = views.iter().map(|(name, view)| {
        (
            *name,
            format!("{:?}", view.dtype()),
            view.shape(),
            view.data(),
        )
    });
    if checksum(&shapes, parts) != sha256 {
        return Err(
            "its contents do not have the SHA-256 that it names: it is damaged".to_string(),
        );
    }
    Ok(shapes)
}

fn float(dtype: Dtype) -> Option<DType> {
    match dtype {
        Dtype::F32 => Some(DType::F32),
        Dtype::F64 => Some(DType::F64),
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        _ => None,
    }
}
