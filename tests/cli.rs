//! The example program, from outside: arguments, events, interruptions.
//!
//! `cargo test` builds the examples before the tests; for these tests alone run
//! `cargo build --example resnet32` first.
//! `ZOSAM_KILLS=50` kills more often.
#![cfg(all(feature = "flex", feature = "models", feature = "data"))]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use serde_json::Value;

fn program(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let name = format!("{example}{}", std::env::consts::EXE_SUFFIX);
    let program = profile.join("examples").join(name);
    assert!(
        program.exists(),
        "build it first: cargo build --example {example}"
    );
    program
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("resnet32"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn events(output: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(output.to_vec()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const SMALL: [&str; 11] = [
    "--depth",
    "8",
    "--limit",
    "96",
    "--batch-size",
    "32",
    "--epochs",
    "4",
    "--update-every",
    "2",
    "--json",
];

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

/// What must not depend on interruptions: the last event, and the metrics without their timings.
fn outcome(out: &Path, stdout: &[u8]) -> (Value, Vec<Value>) {
    let done = events(stdout).pop().unwrap();
    let metrics = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        for timing in ["seconds", "images_per_second"] {
            line.as_object_mut().unwrap().remove(timing);
        }
        line
    });
    (done, lines.collect())
}

#[test]
fn killed_runs_end_like_uninterrupted_ones() {
    let kills: usize = std::env::var("ZOSAM_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let reference = folder.path().join("reference");
    let started = Instant::now();
    let output = run(&[
        &SMALL[..],
        &["--out", reference.to_str().unwrap(), "--resume"],
    ]
    .concat());
    let duration = started.elapsed();
    let expected = outcome(&reference, &output.stdout);
    assert_eq!(expected.0["event"], "done");

    let mut random = ChaCha8Rng::seed_from_u64(4);
    let (mut made, mut run_number) = (0, 0);
    while made < kills {
        let out = folder.path().join(format!("killed-{run_number}"));
        run_number += 1;
        let arguments = [&SMALL[..], &["--out", out.to_str().unwrap(), "--resume"]].concat();
        loop {
            let child = command(&arguments)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let delay = duration.mul_f64(random.random::<f64>() * 0.7);
            match kill_after(child, if made < kills { delay } else { Duration::MAX }) {
                None => made += 1,
                Some(output) => {
                    assert!(output.status.success());
                    assert!(outcome(&out, &output.stdout) == expected, "{run_number}");
                    break;
                }
            }
        }
    }
}

/// Kills a process without warning, unless it ends before.
fn kill_after(mut child: Child, delay: Duration) -> Option<Output> {
    let started = Instant::now();
    while started.elapsed() < delay {
        if child.try_wait().unwrap().is_some() {
            return Some(child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

#[test]
fn a_folder_is_not_reused_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let short = [
        "--depth", "8", "--limit", "32", "--epochs", "1", "--out", out,
    ];
    assert!(run(&short).status.success());
    let again = run(&short);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--resume"));
    let changed = run(&[&short[..], &["--resume", "--rho", "0.2"]].concat());
    assert_eq!(changed.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&changed.stderr).contains("rho"));
    let resumed = run(&[&short[..], &["--resume"]].concat());
    assert!(resumed.status.success());
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_ends_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let long = [
        "--depth", "8", "--limit", "600", "--epochs", "50", "--json", "--out",
    ];
    let child = command(&[&long[..], &[out.to_str().unwrap()]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Let it install its handler and take a few steps.
    while !out.join("checkpoints").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(1500));
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        events(&output.stdout).pop().unwrap()["event"],
        "interrupted"
    );
    assert!(std::fs::read_dir(out.join("checkpoints")).unwrap().count() > 0);
}

/// The other program keeps the same contract: events, files, and resumption to the bit.
#[test]
fn deit_resumes_to_the_bit() {
    let arguments = |epochs: &'static str| {
        let small = [
            "--limit", "64", "--width", "16", "--heads", "2", "--depth", "1", "--json",
        ];
        let run = [
            "--epochs",
            epochs,
            "--update-every",
            "2",
            "--drop-path",
            "0.2",
        ];
        small.into_iter().chain(run)
    };
    let run = |folder: &Path, epochs, more: &[&str]| {
        let mut command = Command::new(program("deit"));
        command
            .args(arguments(epochs))
            .args(more)
            .arg("--out")
            .arg(folder);
        let output = command.stdin(Stdio::null()).output().unwrap();
        (output.status.success(), output)
    };
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (whole, parts) = (whole.path().join("run"), parts.path().join("run"));
    let (ok, output) = run(&whole, "3", &[]);
    assert!(ok, "{}", String::from_utf8_lossy(&output.stderr));
    let expected = events(&output.stdout);
    let kinds: Vec<&str> = expected
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["sparsity", "epoch", "epoch", "epoch", "sparsity", "done"]
    );
    assert!(whole.join("density.svg").exists());

    // Killed after its first checkpoint.
    let mut command = Command::new(program("deit"));
    command.args(arguments("3")).arg("--out").arg(&parts);
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = quiet.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let saved =
        || std::fs::read_to_string(parts.join("metrics.jsonl")).is_ok_and(|t| !t.is_empty());
    while !saved() && child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (ok, output) = run(&parts, "3", &["--resume"]);
    assert!(ok, "{}", String::from_utf8_lossy(&output.stderr));
    let resumed = events(&output.stdout);
    let hash = |events: &[Value]| events.last().unwrap()["weights_hash"].clone();
    assert_eq!(hash(&resumed), hash(&expected));
}

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

/// Averaged weights, accumulated batches and clipped gradients: as many steps as groups of batches, and weights resumed to the bit.
#[test]
fn averages_and_groups_resume_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let options = [
        &SMALL[..],
        &[
            "--batch-size",
            "16",
            "--accumulate",
            "4",
            "--average",
            "0.9",
        ],
        &["--clip-norm", "1"],
    ]
    .concat();
    let whole = folder.path().join("whole");
    let train = |out: &Path, more: &[&str]| {
        let out = ["--out", out.to_str().unwrap()];
        let output = run(&[&options[..], &out, more].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        events(&output.stdout).pop().unwrap()
    };
    let expected = train(&whole, &[]);
    // 96 images are six batches of 16: groups of four and of two, four times.
    assert_eq!(expected["steps"], 8);
    assert_eq!(expected["backwards"], 24);
    let again = folder.path().join("again");
    let arguments = [&options[..], &["--out", again.to_str().unwrap()]].concat();
    let child = command(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    kill_after(child, Duration::from_millis(1500));
    let resumed = train(&again, &["--resume"]);
    assert_eq!(resumed["weights_hash"], expected["weights_hash"]);
    for name in ["model.safetensors", "model-average.safetensors"] {
        let bytes = |out: &Path| std::fs::read(out.join(name)).unwrap();
        assert_eq!(bytes(&again), bytes(&whole), "{name}");
    }
}

/// A checkpoint for other classes or other image sizes is a start all the same.
#[test]
fn a_deit_is_finetuned_from_another_size() {
    let small = [
        "--limit",
        "64",
        "--epochs",
        "1",
        "--batch-size",
        "32",
        "--width",
        "24",
        "--heads",
        "3",
        "--depth",
        "2",
        "--patch",
        "4",
        "--json",
    ];
    // timm's, of 16 × 16 pixels, 3 channels and 10 classes: the images here have 28 × 28 and one.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/deit.safetensors");
    let mut child = Command::new(program("deit"));
    let output = child
        .args(small)
        .args(["--finetune", file])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("position embedding is resampled"), "{text}");
    assert!(
        text.contains(
            "`patch_embed.proj.weight` has shape [24, 3, 4, 4], the model's has [24, 1, 4, 4]"
        ),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(2));
}

/// Every shipped recipe is one of the program's, and the command line wins over it.
#[test]
fn recipes_are_options_that_the_command_line_overrides() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let recipes: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert!(recipes.len() >= 7);
    for recipe in recipes {
        let text = std::fs::read_to_string(&recipe).unwrap();
        let options: Value = serde_json::from_str(&text).unwrap();
        let (depth, width) = match options["options"]["network"].as_str() {
            Some("vgg") => ("11", "2"),
            Some("wide-resnet") => ("10", "1"),
            _ => ("8", "4"),
        };
        let recipe = recipe.to_str().unwrap();
        let small = [
            "--dataset",
            "fashion-mnist",
            "--depth",
            depth,
            "--width",
            width,
            "--limit",
            "256",
        ];
        let short = ["--epochs", "1", "--batch-size", "64", "--json"];
        let output = run(&[&["--recipe", recipe], &small[..], &short].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{recipe}: {text}");
        assert!(text.starts_with("recipe: "), "{text}");
        let sparsity = events(&output.stdout).last().unwrap()["sparsity_prunable"]
            .as_f64()
            .unwrap();
        let percent = recipe.trim_end_matches(".json").rsplit('-').next().unwrap();
        assert_eq!((100.0 * sparsity).round(), percent.parse::<f64>().unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.json");
    let refused = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let output = run(&["--recipe", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let recipe = |program: &str, options: &str| {
        let fields = r#""source": "", "known": [], "assumed": []"#;
        format!(r#"{{{fields}, "program": "{program}", "options": {options}}}"#)
    };
    assert!(refused("{").contains("wrong.json"));
    assert!(refused(&recipe("deit", "{}")).contains("a recipe for `deit`"));
    assert!(refused(&recipe("resnet32", r#"{"epochs": []}"#)).contains("option `epochs` is []"));
    assert!(refused(&recipe("resnet32", r#"{"speed": 3}"#)).contains("--speed"));
}
