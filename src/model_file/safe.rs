//! Safetensors files.

use std::collections::HashMap;

use burn::tensor::DType;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata, TensorView};
use serde_json::Value;

use super::contents::{Contents, Origin, Stored};
use super::{Header, KEY, LIVE, READS, VALUES, checksum};
use crate::error::{Fault, Faulty};

/// The tensors of a file whose sum, if it has one, is right.
pub(super) fn read(bytes: &[u8]) -> Faulty<Contents> {
    let refused = Fault::by("not a safetensors file");
    let (_, header): (usize, Metadata) = SafeTensors::read_metadata(bytes).map_err(refused)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(refused)?;
    let none = HashMap::new();
    let metadata = header.metadata().as_ref().unwrap_or(&none);
    let header = match metadata.get(KEY) {
        Some(header) => Some(verified(&tensors, header)?),
        None => None,
    };
    let stored = tensors.iter().map(|(name, view)| {
        let stored = Stored {
            shape: view.shape().to_vec(),
            dtype: float(view.dtype()),
            bytes: view.data().to_vec(),
        };
        (name.to_string(), stored)
    });
    let tensors = stored.collect();
    match header {
        Some(Header { shapes, card, .. }) => Ok(Contents {
            tensors,
            shapes,
            origin: Origin::Ours(card),
        }),
        None => {
            let is_part = |name: &String| name.ends_with(LIVE) || name.ends_with(VALUES);
            let contents = Contents::foreign(tensors)?;
            match contents.tensors.keys().any(is_part) && contents.shapes.is_empty() {
                true => Err(format!("its metadata has no `{KEY}`").into()),
                false => Ok(contents),
            }
        }
    }
}

/// The header of a file of ours, if the contents have the sum that it names.
fn verified(tensors: &SafeTensors<'_>, header: &str) -> Faulty<Header> {
    let unreadable = Fault::by("what its metadata say of the model cannot be read");
    let header: Value = serde_json::from_str(header).map_err(unreadable)?;
    let version = header.get("version").unwrap_or(&header);
    if !READS.iter().any(|reads| version == reads) {
        let [first, last] = READS;
        let reads = format!("this crate reads {first} and {last}");
        return Err(format!("it has version {version}, {reads}").into());
    }
    let header: Header = serde_json::from_value(header).map_err(unreadable)?;
    let views: Vec<(&str, TensorView)> = tensors.iter().collect();
    let parts = views.iter().map(|(name, view)| {
        (
            *name,
            format!("{:?}", view.dtype()),
            view.shape(),
            view.data(),
        )
    });
    match checksum(&header.shapes, header.card.as_ref(), parts) == header.sha256 {
        true => Ok(header),
        false => Err("its contents do not have the SHA-256 that it names: it is damaged".into()),
    }
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
