//! Arguments in, events and files out.

use super::*;

#[test]
fn events_and_files_are_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = run(&[&SMALL[..], &["--out", out.to_str().unwrap()]].concat());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let events = events(&output.stdout);
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "sparsity", "epoch", "epoch", "epoch", "epoch", "sparsity", "done"
        ]
    );

    let sparsity = &events[0];
    let layers = sparsity["layers"].as_array().unwrap();
    let live: u64 = layers
        .iter()
        .map(|layer| layer["live"].as_u64().unwrap())
        .sum();
    assert_eq!(live, sparsity["live_weights"].as_u64().unwrap());
    let total: u64 = layers
        .iter()
        .map(|layer| layer["total"].as_u64().unwrap())
        .sum();
    assert_eq!(total, sparsity["prunable_weights"].as_u64().unwrap());
    assert!(total < sparsity["model_weights"].as_u64().unwrap());

    let done = events.last().unwrap();
    // Four epochs of three steps; every step makes two forwards and one backward.
    assert_eq!(
        (&done["steps"], &done["forwards"], &done["backwards"]),
        (&12.into(), &24.into(), &12.into())
    );
    assert_eq!(done["live_weights"], live);
    assert_eq!(done["weights_hash"].as_str().unwrap().len(), 64);

    let metrics = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let lines: Vec<Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    for field in [
        "epoch",
        "train_loss",
        "train_accuracy",
        "test_loss",
        "test_accuracy",
        "images_per_second",
        "forwards",
        "backwards",
        "sparsity",
        "seconds",
    ] {
        assert!(lines[3][field].is_number(), "{field}");
    }
    assert!(out.join("config.json").exists());
    assert!(
        std::fs::read_to_string(out.join("curves.svg"))
            .unwrap()
            .starts_with("<svg")
    );
    assert_eq!(
        std::fs::read_dir(out.join("checkpoints")).unwrap().count(),
        4
    );
}

/// Bad input: exit code 2 and one line on standard error that names what is wrong.
#[test]
fn bad_input_is_one_line_and_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere");
    let missing = missing.to_str().unwrap();
    for (arguments, named) in [
        (vec!["--depth", "9"], "depth"),
        (vec!["--sparsity", "1.5"], "sparsity"),
        (vec!["--rho", "-1"], "rho"),
        (vec!["--batch-size", "0"], "batch-size"),
        (vec!["--epochs", "0"], "epochs"),
        (vec!["--limit", "0"], "limit"),
        (vec!["--lr", "nan"], "lr"),
        (vec!["--directions", "0"], "directions"),
        (vec!["--delta", "0"], "delta"),
        (vec!["--update-every", "0"], "update_every"),
        (vec!["--drop-fraction", "2"], "drop_fraction"),
        (vec!["--width", "0"], "width"),
        (vec!["--sparsity", "0.99999"], "sparsity"),
        (vec!["--dataset", "cifar10"], "--data"),
        (vec!["--dataset", "cifar10", "--data", missing], "nowhere"),
        (vec!["--device", "cuda"], "cuda"),
        (vec!["--method", "magic"], "magic"),
        (vec!["--resume"], "--out"),
    ] {
        let output = run(&arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert_eq!(
            stderr.trim_end().lines().count(),
            1,
            "{arguments:?}: {stderr}"
        );
        assert!(stderr.contains(named), "{arguments:?}: {stderr}");
    }
}
