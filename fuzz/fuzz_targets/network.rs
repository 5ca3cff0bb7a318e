//! Any bytes as a network file: refused with an error, or a network whose runs end in outputs or an error.
//!
//! ```text
//! cargo install cargo-fuzz
//! cargo +nightly fuzz run network
//! ```
//!
//! The sum over a file is put right first: no fuzzer would find one.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use zosam::inference::{Input, SparseNetwork};

#[path = "../../tests/compile/forge.rs"]
mod forge;

#[derive(Arbitrary, Debug)]
struct File {
    graph: String,
    constants: Vec<(u8, Vec<f32>)>,
    /// Whether the bytes are a file as they are.
    raw: Option<Vec<u8>>,
    input: Vec<f32>,
}

fuzz_target!(|file: File| {
    let bytes = file.raw.unwrap_or_else(|| {
        let constants: Vec<(String, Vec<u8>)> = file
            .constants
            .iter()
            .map(|(id, numbers)| (id.to_string(), numbers.iter().flat_map(|x| x.to_le_bytes()).collect()))
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_iter()
            .collect();
        let tensors = constants.iter().map(|(name, bytes)| {
            let shape = vec![bytes.len() / 4];
            let view = safetensors::tensor::TensorView::new(safetensors::tensor::Dtype::F32, shape, bytes);
            (name.as_str(), view.expect("bytes of whole numbers"))
        });
        forge::forge(&file.graph, tensors.collect())
    });
    if let Ok(network) = SparseNetwork::from_bytes(&bytes) {
        let _ = network.run(&[Input::Float(&file.input)]);
    }
});
