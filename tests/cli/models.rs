//! Model files.

use super::*;

/// The model file of a run tests as the run did, and training can start from it.
#[test]
fn a_model_file_tests_as_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let file = out.join("model.safetensors");
    let small = [
        "--depth", "8", "--width", "4", "--limit", "96", "--epochs", "1", "--json",
    ];
    let succeed = |more: &[&str]| {
        let output = run(&[&small[..], more].concat());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        events(&output.stdout)
    };
    let trained = succeed(&["--out", out.to_str().unwrap()]);
    let tested = succeed(&["evaluate", file.to_str().unwrap()]);
    assert_eq!(tested[0]["event"], "evaluation");
    assert_eq!(
        tested[0]["accuracy"],
        trained.last().unwrap()["test_accuracy"]
    );
    let loss = |event: &Value, field: &str| event[field].as_f64().unwrap();
    let (a, b) = (
        loss(&tested[0], "loss"),
        loss(trained.last().unwrap(), "test_loss"),
    );
    // Sums of f32 in another order.
    assert!((a - b).abs() < 1e-5, "{a} {b}");
    let options = ["--corruptions", "contrast,fog", "--severity", "2"];
    let tested = succeed(&[&["evaluate", file.to_str().unwrap()], &options[..]].concat());
    assert_eq!(tested[1]["event"], "robustness");
    assert_eq!(tested[1]["clean"], tested[0]["accuracy"]);
    let accuracies = tested[1]["accuracies"].as_object().unwrap();
    assert_eq!(accuracies.len(), 2);
    assert!(accuracies["fog"]["2"].is_number());
    let picture = folder.path().join("picture.png");
    image::RgbImage::from_fn(90, 60, |x, y| image::Rgb([x as u8, y as u8, 128]))
        .save(&picture)
        .unwrap();
    let answer = succeed(&["predict", file.to_str().unwrap(), picture.to_str().unwrap()]);
    let best = answer[0]["best"].as_array().unwrap();
    let chances: Vec<f64> = best.iter().map(|pair| pair[1].as_f64().unwrap()).collect();
    assert!(
        chances.len() == 3 && chances[0] >= chances[1] && chances.iter().sum::<f64>() <= 1.0 + 1e-6
    );
    std::fs::write(&picture, "no picture").unwrap();
    let arguments = ["predict", file.to_str().unwrap(), picture.to_str().unwrap()];
    let output = run(&[&small[..], &arguments].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("picture.png")
    );

    let tuned = succeed(&[
        "--finetune",
        file.to_str().unwrap(),
        "--lr",
        "1e-9",
        "--method",
        "magnitude",
    ]);
    assert_eq!(tuned.last().unwrap()["event"], "done");

    let missing = run(&["evaluate", "nowhere.safetensors"]);
    assert_eq!(missing.status.code(), Some(2));
    let text = String::from_utf8(missing.stderr).unwrap();
    assert!(text.contains("nowhere.safetensors"), "{text}");
}

/// A checkpoint for another image size is a start all the same; one for other channels is none.
#[test]
fn a_deit_is_finetuned_from_another_size() {
    let shape = [
        "--width", "24", "--heads", "3", "--depth", "2", "--patch", "4",
    ];
    let short = ["--epochs", "1", "--batch-size", "32", "--json"];
    // timm's, of 16 × 16 pixels, 3 channels and 10 classes.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/deit.safetensors");
    let start = ["--finetune", file];
    let folder = tempfile::tempdir().unwrap();
    standalone::ten_classes(folder.path());
    let data = [
        "--data",
        folder.path().to_str().unwrap(),
        "--image-size",
        "28",
    ];
    let arguments = [&shape[..], &short, &start, &data].concat();
    let (events, text) = said(command_of("deit", &arguments).output().unwrap());
    assert!(text.contains("position embedding is resampled"), "{text}");
    assert_eq!(events.last().unwrap()["event"], "done");
    // The built-in images have one channel.
    let arguments = [&shape[..], &short, &start, &["--limit", "64"]].concat();
    let text = refusal(command_of("deit", &arguments).output().unwrap());
    assert!(
        text.contains(
            "`patch_embed.proj.weight` has shape [24, 3, 4, 4], the model's has [24, 1, 4, 4]"
        ),
        "{text}"
    );
}
