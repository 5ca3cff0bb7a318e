//! ONNX files. What other engines make of them, `tests/golden/check_onnx.py` says.

use burn::nn::Linear;
use burn::nn::LinearConfig;
use burn::tensor::Device;
use zosam::inference::SparseNetwork;
use zosam::models::{Deit, DeitConfig};

use crate::{tensor, trained};

/// The bytes of a string with its length, as protobuf has them.
fn has(bytes: &[u8], text: &str) -> bool {
    let wanted = [&[text.len() as u8], text.as_bytes()].concat();
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn words_of_onnx() {
    let config = DeitConfig::tiny(10).with_image([16, 16]).with_patch(4);
    let model = config.with_width(24, 3).with_depth(1).init(&Device::flex());
    let model = trained(model.unwrap(), 0.3);
    let network = SparseNetwork::compile(&model, tensor([1, 3, 16, 16], 1), |m: &Deit, x| {
        m.forward(x)
    });
    let bytes = network.unwrap().to_onnx().unwrap();
    for word in [
        "Conv",
        "MatMul",
        "LayerNormalization",
        "Softmax",
        "Erf",
        "Concat",
    ] {
        assert!(has(&bytes, word), "{word}");
    }
}

#[test]
fn what_has_no_words_is_named() {
    let layer: Linear = LinearConfig::new(6, 4).init(&Device::flex());
    let network = SparseNetwork::compile(&layer, tensor([1, 6], 1), |l: &Linear, x| {
        l.forward(x).sort(1).cumsum(1)
    });
    let error = network.unwrap().to_onnx().unwrap_err().to_string();
    assert!(error.contains("Sort, CumSum"), "{error}");
}
