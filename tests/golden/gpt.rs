//! The GPT of examples/language_model against PyTorch's own layers, and what it must not depend on.

#[path = "../../examples/language_model/decode.rs"]
mod decode;
#[path = "../../examples/language_model/model.rs"]
mod model;

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Deserialize;
use zosam::model_file::{Card, Configuration, SaveOptions, load, load_model, shapes};
use zosam::objective::{Objective, seeded};
use zosam::{RigL, Sparsity, tree};

use crate::reference::{TOLERANCE, Tensors, assert_all_close, assert_close, read, torch_tensors};
use decode::Decoder;
use model::{Gpt, GptConfig};

#[derive(Deserialize)]
struct Measured {
    /// Every seventh.
    logits: Vec<f32>,
    losses: Vec<f32>,
    /// Every fifth of each.
    gradients: Tensors,
}

#[derive(Deserialize)]
struct Golden {
    windows: Vec<i64>,
    tied: Measured,
    untied: Measured,
}

const BATCH: usize = 3;

/// The sizes of `make_gpt.py`.
fn config(tied: bool) -> GptConfig {
    GptConfig {
        layers: 2,
        width: 16,
        heads: 4,
        context: 12,
        tied,
        dropout: 0.0,
    }
}

fn windows(bytes: &[i64], device: &Device) -> Tensor<2, Int> {
    let shape = [BATCH, bytes.len() / BATCH];
    Tensor::from_data(TensorData::new(bytes.to_vec(), shape), device)
}

/// The weights of PyTorch's net; tied, without the output's own.
fn golden_model(tied: bool) -> Gpt {
    let device = Device::flex().autodiff();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gpt.safetensors");
    let model = config(false).init(&device).unwrap();
    let (untied, _) = load_model(path, model).unwrap();
    if !tied {
        return untied;
    }
    let values = tree::values(&untied);
    let named: Vec<_> = tree::leaves(&untied)
        .into_iter()
        .map(|leaf| (leaf.path, values.get(leaf.id).unwrap().clone()))
        .collect();
    let model = config(true).init(&device).unwrap();
    let leaves = tree::leaves(&model);
    tree::replace(model, |id, _| {
        let leaf = leaves.iter().find(|leaf| leaf.id == id)?;
        let found = named.iter().find(|(path, _)| *path == leaf.path);
        Some(found.unwrap().1.clone())
    })
}

fn every(step: usize, numbers: &[f32]) -> Vec<f32> {
    numbers.iter().step_by(step).copied().collect()
}

fn read_floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[test]
fn logits_losses_and_gradients_are_pytorchs() {
    let golden: Golden = read("gpt");
    let plain = Device::flex();
    for (tied, expected) in [(true, &golden.tied), (false, &golden.untied)] {
        let model = golden_model(tied);
        let batch = windows(&golden.windows, &plain);
        let bytes = batch.clone().narrow(1, 0, 12);
        let logits = read_floats(model.valid().logits(bytes));
        // Logits are as large as 7: a few units in the last place of f32, summed in another order.
        assert_close(
            "logits",
            &every(7, &logits),
            &expected.logits,
            2.0 * TOLERANCE,
        );
        let losses = read_floats(model.valid().losses(batch.clone()));
        assert_close("losses", &losses, &expected.losses, TOLERANCE);
        let loss = |model: &Gpt| model.losses(batch.clone()).mean();
        let gradient = Objective::new(&model, loss, 0).gradient(None).vector;
        let mut gradients = torch_tensors(&model, &gradient);
        // The rows of a table are rows on both sides.
        for leaf in tree::leaves(&model) {
            if leaf.layer == "Embedding" {
                let rows = read_floats(gradient.get(leaf.id).unwrap().clone());
                gradients.insert(leaf.path, rows);
            }
        }
        let gradients = gradients
            .into_iter()
            .map(|(name, values)| (name, every(5, &values)))
            .collect();
        assert_all_close("gradients", &gradients, &expected.gradients, TOLERANCE);
    }
}

/// What comes later changes nothing before, to the bit.
#[test]
fn no_byte_sees_what_comes_later() {
    let golden: Golden = read("gpt");
    let (model, device) = (golden_model(true).valid(), Device::flex());
    let bytes: Vec<i64> = golden.windows[..12].to_vec();
    let logits = |bytes: &[i64]| {
        let bytes = TensorData::new(bytes.to_vec(), [1, bytes.len()]);
        read_floats(model.logits(Tensor::from_data(bytes, &device)))
    };
    let expected = logits(&bytes);
    for changed in 0..12 {
        let mut other = bytes.clone();
        other[changed] = (other[changed] + 1) % 256;
        let found = logits(&other);
        let (before, from) = (256 * changed, 256 * (changed + 1));
        assert!(found[..before] == expected[..before], "{changed}");
        assert!(found[before..from] != expected[before..from], "{changed}");
    }
}

/// One parameter in counts, gradients and files; it and the norms stay dense.
#[test]
fn a_tied_embedding_is_one_parameter() {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let counts = [true, false].map(|tied| {
        let config = config(tied);
        let model = seeded(&device, 1, || {
            let model = config.init(&device).unwrap();
            tree::values(&model);
            model
        });
        let mut sparsity = Sparsity::new(RigL::new(0.5).until(100));
        let batch = windows(&[65; 39], &Device::flex());
        let loss = |model: &Gpt| model.losses(batch.clone()).mean();
        let model = sparsity.attach(model, loss).unwrap();
        let masked: Vec<String> = sparsity
            .masks()
            .leaves()
            .map(|leaf| leaf.path.clone())
            .collect();
        // Four layers of each block, and the output's own weight.
        assert_eq!(masked.len(), 8 + usize::from(!tied));
        let dense = |path: &String| !path.contains("norm") && !path.contains("embedding");
        assert!(masked.iter().all(dense), "{masked:?}");

        let path = folder.path().join(format!("{tied}.safetensors"));
        let card = Card::new(&config).unwrap();
        let options = SaveOptions::new().with_card(card);
        options.save(&path, &model, sparsity.masks()).unwrap();
        let names = shapes(&path).unwrap();
        assert_eq!(names.keys().any(|name| name.starts_with("head")), !tied);
        let loaded = load::<GptConfig>(&path, &Device::flex()).unwrap();
        assert_eq!(loaded.config, config);
        assert_eq!(
            tree::named_tensors(&loaded.model),
            tree::named_tensors(&model.valid())
        );
        let leaves: usize = tree::leaves(&model).iter().map(|leaf| leaf.len()).sum();
        assert_eq!(leaves, model.num_params());
        leaves
    });
    let block = 12 * 16 * 16 + 9 * 16 + 4 * 16;
    let tied = 256 * 16 + 12 * 16 + 2 * block + 2 * 16;
    assert_eq!(counts, [tied, tied + 256 * 16]);
}

#[test]
fn sizes_that_make_no_model_are_refused_by_name() {
    let good = config(true);
    for (bad, field) in [
        (
            GptConfig {
                layers: 0,
                ..good.clone()
            },
            "layers",
        ),
        (
            GptConfig {
                context: 0,
                ..good.clone()
            },
            "context",
        ),
        (
            GptConfig {
                heads: 3,
                ..good.clone()
            },
            "width",
        ),
        (
            GptConfig {
                dropout: 1.0,
                ..good.clone()
            },
            "dropout",
        ),
    ] {
        let error = bad.init(&Device::flex()).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}

/// Byte by byte, with keys and values kept, a sparse model predicts what it does of the text at once; and again after it has forgotten.
#[test]
fn a_text_byte_by_byte_is_the_text_at_once() {
    for tied in [false, true] {
        let mut sparsity = Sparsity::new(zosam::sparse::MagnitudeStatic::new(0.7));
        let model = sparsity.attach_on(golden_model(tied), &()).unwrap().valid();
        let mut decoder = Decoder::new(&model, &config(tied)).unwrap();
        for offset in [0i64, 91] {
            let text: Vec<i64> = (0..12).map(|i| (offset + 37 * i) % 256).collect();
            let shape = [1, text.len()];
            let bytes = Tensor::from_data(TensorData::new(text.clone(), shape), &Device::flex());
            let expected = read_floats(model.logits(bytes));
            let found: Vec<f32> = text
                .iter()
                .flat_map(|byte| decoder.read(*byte as u8).unwrap())
                .collect();
            assert!(decoder.is_full());
            // As above: they are as large as 7.
            assert_close("logits", &found, &expected, 2.0 * TOLERANCE);
            decoder.forget();
        }
    }
}
