//! PyTorch's own files (`.pth`, `.pt`, `.bin`): pickles, read without running anything in them.

use std::path::Path;

use super::contents::Contents;

/// Without the feature, what to do.
#[cfg(not(feature = "pytorch"))]
pub(super) fn read(_path: &Path) -> Result<Contents, String> {
    Err(
        "it is a PyTorch checkpoint: build with the feature `pytorch`, or save it as safetensors"
            .to_string(),
    )
}

/// Keys under which training programs keep the weights: DeiT's and timm's, then others.
#[cfg(feature = "pytorch")]
const KEYS: [&str; 4] = ["model", "state_dict", "model_state_dict", "module"];

/// The tensors of a checkpoint, of the model in it if it holds more.
#[cfg(feature = "pytorch")]
pub(super) fn read(path: &Path) -> Result<Contents, String> {
    use pytorch_reader::PytorchReader;

    use super::contents::Stored;

    let within = |key: &&str| {
        let reader = PytorchReader::with_top_level_key(path, key).ok()?;
        (!reader.is_empty()).then_some(reader)
    };
    let reader = match KEYS.iter().find_map(within) {
        Some(reader) => reader,
        None => PytorchReader::new(path)
            .map_err(|error| format!("not a PyTorch checkpoint: {error}"))?,
    };
    let mut contents = Contents::default();
    for (name, tensor) in reader.into_tensors() {
        // `DataParallel` puts this before every name.
        let plain = name.strip_prefix("module.").unwrap_or(&name).to_string();
        let stored = Stored {
            shape: tensor.shape().to_vec(),
            dtype: float(tensor.dtype()),
            bytes: tensor
                .read()
                .map_err(|error| format!("tensor `{name}` cannot be read: {error}"))?,
        };
        if contents.tensors.insert(plain, stored).is_some() {
            return Err(format!("it has tensor `{name}` twice"));
        }
    }
    Ok(contents)
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
