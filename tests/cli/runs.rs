//! Runs that are extended, diverge, share a folder, or end in too small a batch; and how the program is asked for help.

use super::*;

const SHORT: [&str; 9] = [
    "--depth", "8", "--width", "4", "--limit", "64", "--epochs", "2", "--json",
];

fn lines(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Two epochs, then one more, then two: each with a schedule of its own; options need not be repeated.
#[test]
fn a_finished_run_is_extended() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let out = out.to_str().unwrap();
    let missing = refusal(run(&["--extend", "1", "--out", out]));
    assert!(missing.contains("holds no run to extend"), "{missing}");
    let short = [&SHORT[..], &["--density", "^conv1=1", "--out", out]].concat();
    said(run(&short));
    let (_, text) = said(run(&["--resume", "--out", out]));
    assert!(text.contains("the run is finished: --extend N"), "{text}");
    let (events, text) = said(run(&["train", "--extend", "1", "--out", out, "--json"]));
    assert!(
        text.contains("1 more epochs, with a new schedule"),
        "{text}"
    );
    assert!(text.contains("begins again at 0.1"), "{text}");
    // Two images steps an epoch.
    assert_eq!(events.last().unwrap()["steps"], 6);
    let extended = ["--extend", "2", "--lr", "0.01", "--out", out, "--json"];
    let (events, text) = said(run(&extended));
    assert!(text.contains("begins again at 0.01"), "{text}");
    assert_eq!(events.last().unwrap()["steps"], 10);
    assert_eq!(lines(Path::new(out)).len(), 5);
    let config: Value =
        serde_json::from_str(&std::fs::read_to_string(Path::new(out).join("config.json")).unwrap())
            .unwrap();
    let epochs: Vec<&Value> = config["extended"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["epochs"])
        .collect();
    assert_eq!(
        (&config["lr"], epochs),
        (&0.1.into(), vec![&1.into(), &2.into()])
    );
    // As it was begun, with all its options, it is still the same run.
    let (events, _) = said(run(&[&short[..], &["--resume"]].concat()));
    assert_eq!(events.last().unwrap()["steps"], 10);
    let changed = refusal(run(&["--resume", "--out", out, "--epochs", "9"]));
    assert!(
        changed.contains("`epochs` is 9") && changed.contains("use --extend N"),
        "{changed}"
    );
    // What comes out is the model of all its epochs.
    let file = Path::new(out).join("model.safetensors");
    let card = zosam::model_file::read_card(file).unwrap().unwrap();
    assert_eq!(card.results()["epochs"], 5.0);
}

/// What is not done yet is not extended, and one process at a time trains in a folder.
#[test]
fn a_run_in_progress_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let long = [
        "--depth", "8", "--width", "4", "--limit", "64", "--epochs", "500", "--out",
    ];
    let mut command = command(&[&long[..], &[out.to_str().unwrap()]].concat());
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let saved = || std::fs::read_to_string(out.join("metrics.jsonl")).is_ok_and(|t| !t.is_empty());
    while !saved() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let resume = ["--resume", "--out", out.to_str().unwrap()];
    let second = run(&resume);
    child.kill().unwrap();
    child.wait().unwrap();
    let text = refusal(second);
    assert!(text.contains("another process trains in"), "{text}");
    let early = run(&["--extend", "1", "--out", out.to_str().unwrap()]);
    assert_eq!(early.status.code(), Some(2));
    let text = text_of_last_line(&early);
    assert!(
        text.contains("of 500 epochs: finish it with --resume first"),
        "{text}"
    );
}

fn text_of_last_line(output: &Output) -> String {
    text(output)
        .trim_end()
        .lines()
        .last()
        .unwrap_or_default()
        .to_string()
}

/// A loss that is NaN: said once, kept in checkpoints, gone on with, and readable in both tables.
#[test]
fn a_diverged_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let diverging = ["--lr", "1e20", "--sharpness", "none", "--method", "random"];
    let arguments = [&SHORT[..], &diverging, &["--out", out.to_str().unwrap()]].concat();
    let (_, text) = said(run(&arguments));
    assert_eq!(text.matches("the loss is").count(), 1, "{text}");
    assert!(
        text.contains("warning: the loss is NaN at step 1"),
        "{text}"
    );
    let again = run(&["--extend", "1", "--out", out.to_str().unwrap(), "--json"]);
    let (events, text) = said(again);
    assert!(
        text.contains("was not a finite number at 3 steps, first at step 1"),
        "{text}"
    );
    assert_eq!(events.last().unwrap()["steps"], 6);
    assert!(lines(&out).iter().all(|line| line["train_loss"].is_null()));
    let table = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(
        (rows.len(), rows[0][1], rows[3][1]),
        (4, "train_loss", "NaN")
    );
}

/// The table has what the lines have.
#[test]
fn metrics_are_a_table_too() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let more = [
        "--measure",
        "cosine,noise",
        "--measure-every",
        "1",
        "--evaluate-every",
        "2",
    ];
    let arguments = [&SHORT[..], &more, &["--out", out.to_str().unwrap()]].concat();
    said(run(&arguments));
    let table = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
    let (head, rows) = table.split_once('\n').unwrap();
    let columns: Vec<&str> = head.split(',').collect();
    for (row, line) in rows.lines().zip(lines(&out)) {
        let cells: Vec<&str> = row.split(',').collect();
        assert_eq!(cells.len(), columns.len());
        for (column, cell) in columns.iter().zip(cells) {
            match line.get(column) {
                Some(value) => assert_eq!(cell.parse::<f64>().ok(), value.as_f64(), "{column}"),
                None => assert_eq!(cell, "", "{column}"),
            }
        }
        let fields = line.as_object().unwrap();
        assert!(fields.keys().all(|field| columns.contains(&field.as_str())));
    }
    assert_eq!(rows.lines().count(), 2);
}

/// VGG shrinks 16 × 16 pixels to one: a last batch of one image would leave batch norm nothing to normalise by.
#[test]
fn a_last_batch_of_one_value_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    for (split, count) in [("train", 17), ("val", 2)] {
        let folder = folder.path().join(split).join("one");
        std::fs::create_dir_all(&folder).unwrap();
        for number in 0..count {
            let picture =
                image::GrayImage::from_fn(16, 16, |x, y| image::Luma([(x * y + number) as u8]));
            picture.save(folder.join(format!("{number}.png"))).unwrap();
        }
    }
    let network = [
        "--network",
        "vgg",
        "--depth",
        "11",
        "--width",
        "2",
        "--epochs",
        "1",
    ];
    let data = [
        "--data",
        folder.path().to_str().unwrap(),
        "--image-size",
        "16",
        "--json",
    ];
    let train = |batch: &str, size: &[&str]| {
        run(&[&network[..], &data, &["--batch-size", batch], size].concat())
    };
    let (events, text) = said(train("8", &[]));
    assert!(
        text.contains("the last batch of each epoch is left out"),
        "{text}"
    );
    assert_eq!(events.last().unwrap()["steps"], 2);
    // Whole or larger rests are taken, and larger images leave more values.
    let (events, text) = said(train("6", &[]));
    assert!(!text.contains("left out"), "{text}");
    assert_eq!(events.last().unwrap()["steps"], 3);
    let (events, _) = said(train("8", &["--image-size", "32"]));
    assert_eq!(events.last().unwrap()["steps"], 3);
    let text = refusal(train("1", &[]));
    assert!(
        text.contains("--batch-size 1 leaves batch norm one value per channel"),
        "{text}"
    );
}

/// Help is short, and there is more of it; what is no command or option is named.
#[test]
fn help_is_short() {
    let help = |arguments: &[&str]| {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let short = help(&["--help"]);
    assert!(short.lines().count() < 25, "{short}");
    for command in ["train", "evaluate", "predict", "info", "export"] {
        assert!(
            short.contains(&format!("  {command} ")),
            "{command}: {short}"
        );
    }
    let train = help(&["train", "--help"]);
    assert!(train.lines().count() < 80, "{train}");
    assert!(train.contains("Sparsity:") && !train.contains("--granularity"));
    assert_eq!(help(&["--depth", "8", "--help"]), train);
    let all = help(&["train", "--help-all"]);
    assert!(all.contains("--granularity") && all.contains("--look-every"));
    let predict = help(&["predict", "--help"]);
    assert!(
        predict.lines().count() < 25 && !predict.contains("--depth"),
        "{predict}"
    );
    assert!(help(&["predict", "--help-all"]).contains("--depth"));
    for (arguments, named) in [
        (&["preddict"][..], "a similar subcommand exists: 'predict'"),
        (&["--epohcs", "3"], "a similar argument exists: '--epochs'"),
        (
            &["predict", "model", "picture", "--epochs", "3"],
            "--epochs",
        ),
        (&["predict", "model"], "<IMAGES>"),
        (
            &["--data", "nowhere"],
            "--data nowhere: there is no such folder",
        ),
    ] {
        let text = refusal(run(arguments));
        assert!(text.contains(named), "{text}");
    }
}
