//! What weight decay is for.

use burn::tensor::Device;
use zosam::model_file::load_model;
use zosam::models::DeitConfig;
use zosam::tree;

use super::*;

/// The tensors of a small DeiT after two steps with next to no learning rate, but a weight decay that makes up for it.
fn tensors(folder: &Path, decay: &str, more: &[&str]) -> Vec<(String, Vec<f32>)> {
    let out = folder.join(format!("{decay}{}", more.concat()));
    let small = [
        "--limit",
        "64",
        "--batch-size",
        "32",
        "--epochs",
        "1",
        "--width",
        "16",
        "--heads",
        "2",
        "--depth",
        "1",
        "--patch",
        "4",
    ];
    let plain = [
        "--method",
        "dense",
        "--sharpness",
        "none",
        "--warmup",
        "0",
        "--lr",
        "1e-6",
    ];
    let named = ["--weight-decay", decay, "--out", out.to_str().unwrap()];
    let mut command = command_of("deit", &[&small[..], &plain, &named, more].concat());
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let config = DeitConfig::tiny(10).with_image([28, 28]).with_channels(1);
    let config = config.with_patch(4).with_width(16, 2).with_depth(1);
    let model = config.init(&Device::flex()).unwrap();
    let (model, _) = load_model(out.join("model.safetensors"), model).unwrap();
    let tensors = tree::named_tensors(&model).into_iter();
    tensors
        .map(|(path, data)| (path, data.iter::<f32>().collect()))
        .collect()
}

/// DeiT's authors' groups: biases, norms, tokens and the position embedding stay as they are.
#[test]
fn only_weights_of_layers_decay() {
    let folder = tempfile::tempdir().unwrap();
    let still = tensors(folder.path(), "0", &[]);
    // Along the cosine: 1e-6, then half of it.
    let factor = (1.0 - 0.1) * (1.0 - 0.05);
    for (more, of_vectors) in [(&[][..], 1.0), (&["--decay-of", "all"], factor)] {
        let decayed = tensors(folder.path(), "1e5", more);
        for ((path, before), (_, after)) in still.iter().zip(&decayed) {
            let is_embedding = path == "pos_embed" || path.ends_with("_token");
            let is_layer = path.ends_with("weight") && !is_embedding;
            let expected = if is_layer { factor } else { of_vectors };
            for (before, after) in before.iter().zip(after) {
                // The steps themselves: up to 1.5e-6 in each run.
                assert!(
                    (after - expected * before).abs() < 1e-5,
                    "{path}: {before} {after}"
                );
            }
        }
    }
}
