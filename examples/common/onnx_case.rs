//! A network in an ONNX file, with inputs and the outputs that it has for them, for `tests/golden/check_onnx.py`.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use zosam::inference::{Input, Output, SparseNetwork};

/// Writes `NAME.onnx` and `NAME.json` into a folder; inputs are those of one image.
pub fn write(
    network: &SparseNetwork,
    inputs: &[Input<'_>],
    folder: &Path,
    name: &str,
) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    network.save_onnx(folder.join(name).with_extension("onnx"))?;
    let given = inputs.iter().map(|input| match input {
        Input::Float(numbers) => json!(numbers),
        Input::Int(numbers) => json!(numbers),
    });
    let outputs = network.run(inputs)?.into_iter().map(|output| match output {
        Output::Float(numbers) => json!(numbers),
        Output::Int(numbers) => json!(numbers),
    });
    let case = json!({ "inputs": given.collect::<Value>(), "outputs": outputs.collect::<Value>() });
    Ok(std::fs::write(
        folder.join(name).with_extension("json"),
        case.to_string(),
    )?)
}
