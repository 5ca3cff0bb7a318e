//! PyTorch's own files (`.pth`, `.pt`, `.bin`): pickles, read without running anything in them.

use std::path::Path;

use super::contents::Contents;
use crate::error::Faulty;

/// Without the feature, what to do.
#[cfg(not(feature = "pytorch"))]
pub(super) fn read(_path: &Path) -> Faulty<Contents> {
    let reason =
        "it is a PyTorch checkpoint: build with the feature `pytorch`, or save it as safetensors";
    Err(reason.into())
}

/// Keys under which training programs keep weights, in timm's order: the average of the weights
/// before the weights. Then others'.
#[cfg(feature = "pytorch")]
const KEYS: [&str; 6] = [
    "state_dict_ema",
    "model_ema",
    "state_dict",
    "model",
    "model_state_dict",
    "module",
];

/// The tensors of a checkpoint, of the model in it if it holds more.
#[cfg(feature = "pytorch")]
pub(super) fn read(path: &Path) -> Faulty<Contents> {
    use pytorch_reader::PytorchReader;

    use super::contents::Stored;
    use crate::error::Fault;

    let refused = Fault::by("not a PyTorch checkpoint");
    let found = dictionaries(path).map_err(refused)?;
    let reader = match found.first() {
        Some(key) => PytorchReader::with_top_level_key(path, key),
        None => PytorchReader::new(path),
    };
    let reader = reader.map_err(refused)?;
    if let [read, others @ ..] = &found[..]
        && !others.is_empty()
    {
        let average = match read.ends_with("_ema") {
            true => ", the average of the weights",
            false => "",
        };
        let path = path.display();
        log::warn!(
            "{path} has {} state dicts: `{read}`{average} is read, not {others:?}",
            found.len()
        );
    }
    if reader.is_empty() {
        let reason =
            "it holds no tensors: a whole module was pickled, perhaps; save its `state_dict()`";
        return Err(reason.into());
    }
    let mut tensors = std::collections::BTreeMap::new();
    for (name, tensor) in reader.into_tensors() {
        let stored = Stored {
            shape: tensor.shape().to_vec(),
            dtype: float(tensor.dtype()),
            bytes: tensor.read().map_err(|error| Fault {
                reason: format!("tensor `{name}` cannot be read"),
                source: Some(error.into()),
            })?,
        };
        tensors.insert(name, stored);
    }
    Ok(Contents::foreign(tensors)?)
}

/// Those of the keys that hold something.
#[cfg(feature = "pytorch")]
fn dictionaries(path: &Path) -> Result<Vec<&'static str>, pytorch_reader::PytorchError> {
    use pytorch_reader::{PickleValue, PytorchReader};

    let PickleValue::Dict(entries) = PytorchReader::read_pickle_data(path, None)? else {
        return Ok(Vec::new());
    };
    let holds =
        |key: &&str| matches!(entries.get(*key), Some(PickleValue::Dict(dict)) if !dict.is_empty());
    Ok(KEYS.into_iter().filter(holds).collect())
}

#[cfg(feature = "pytorch")]
fn float(dtype: pytorch_reader::DType) -> Option<burn::tensor::DType> {
    use burn::tensor::DType;
    match dtype {
        pytorch_reader::DType::F32 => Some(DType::F32),
        pytorch_reader::DType::F64 => Some(DType::F64),
        pytorch_reader::DType::F16 => Some(DType::F16),
        pytorch_reader::DType::BF16 => Some(DType::BF16),
        _ => None,
    }
}
