//! Kills, interrupts and resumption.

use super::*;

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
