//! The programs whose data are not images: the same contract as the others'.

use super::*;
use zosam::model_file::read_card;

const GPT: [&str; 21] = [
    "--layers",
    "1",
    "--width",
    "16",
    "--heads",
    "2",
    "--context",
    "16",
    "--batch-size",
    "4",
    "--steps",
    "40",
    "--evaluate-every",
    "8",
    "--windows",
    "8",
    "--dropout",
    "0.1",
    "--bytes",
    "12",
    "--json",
];

/// Files to learn from.
fn texts(folder: &Path) -> String {
    for number in 0..12 {
        let line = |i: usize| format!("line {i} of file {number} says {}\n", i * i % 7);
        let text: String = (0..20).map(line).collect();
        let extension = if number % 2 == 0 { "rs" } else { "md" };
        std::fs::write(folder.join(format!("{number}.{extension}")), text).unwrap();
    }
    folder.to_str().unwrap().to_string()
}

fn gpt(arguments: &[&str]) -> Output {
    command_of("language_model", arguments).output().unwrap()
}

/// An event without what depends on the machine.
fn untimed(event: &Value) -> Value {
    let mut event = event.clone();
    for name in ["seconds", "peak_megabytes"] {
        event.as_object_mut().unwrap().remove(name);
    }
    event
}

/// Trains into a folder, killed after its first checkpoint and then resumed; returns the last event.
fn killed_and_resumed(out: &Path, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--out", out.to_str().unwrap()]].concat();
    let mut command = command_of("language_model", &arguments);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let saved = || std::fs::read_to_string(out.join("metrics.jsonl")).is_ok_and(|t| !t.is_empty());
    while !saved() && child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The folder knows the options.
    let (events, _) = said(gpt(&["--resume", "--json", "--out", out.to_str().unwrap()]));
    untimed(events.last().unwrap())
}

/// A run goes on to the bit, and its file needs no options.
#[test]
fn a_language_model_resumes_to_the_bit_and_writes() {
    let folder = tempfile::tempdir().unwrap();
    let text = texts(folder.path());
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name).join("run"));
    let masks = ["--method", "rigl", "--update-every", "3"];
    let options = [&GPT[..], &masks, &["--folder", &text, "--text", "sources"]].concat();
    let out = ["--out", whole.to_str().unwrap()];
    let (events, shown) = said(gpt(&[&options[..], &out].concat()));
    let kinds: Vec<&str> = events
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect();
    let validations = ["validation"; 5];
    assert_eq!(
        kinds,
        [&["start"][..], &validations, &["text", "done"]].concat()
    );
    assert!(shown.contains("of 5 files for training"), "{shown}");
    let done = untimed(events.last().unwrap());
    let bits = |event: &Value| event["validation_bits"].as_f64().unwrap();
    assert!(bits(&done) < bits(&events[1]), "it learns");
    assert_eq!(killed_and_resumed(&parts, &options), done);
    let [model, again] = [&whole, &parts].map(|out| out.join("model.safetensors"));
    assert_eq!(
        std::fs::read(&model).unwrap(),
        std::fs::read(again).unwrap()
    );
    let taken = refusal(gpt(&[&options[..], &out].concat()));
    assert!(taken.contains("--resume"), "{taken}");

    let model = model.to_str().unwrap();
    let write = |more: &[&str]| {
        let start = ["generate", model, "--prompt", "line 4 ", "--bytes", "30"];
        let output = gpt(&[&start[..], more].concat());
        assert!(output.status.success(), "{}", super::text(&output));
        output.stdout
    };
    let written = write(&["--seed", "1"]);
    assert!(written.starts_with(b"line 4 ") && written.len() > 8);
    assert_eq!(write(&["--seed", "1"]), written);
    assert_ne!(write(&["--seed", "2"]), written);
    let (events, _) = said(gpt(&["generate", model, "--temperature", "0", "--json"]));
    assert_eq!(events[0]["event"], "text");
}

/// A fine-tune keeps the file's masks, and steps without a backward pass resume to the bit.
#[test]
fn a_language_model_is_fine_tuned_without_backward_passes() {
    let folder = tempfile::tempdir().unwrap();
    let text = texts(folder.path());
    let out = |name: &str| folder.path().join(name).join("run");
    let train = [&GPT[..], &["--folder", &text, "--text", "sources"]].concat();
    let sources = out("sources");
    said(gpt(
        &[&train[..], &["--out", sources.to_str().unwrap()]].concat()
    ));
    let model = sources.join("model.safetensors");
    let model = model.to_str().unwrap();
    let tune = [
        &GPT[8..],
        &["--folder", &text, "--text", "docs", "--finetune", model],
    ]
    .concat();
    let tune = [&tune[..], &["--forward-only", "--lr", "0.01"]].concat();
    let whole = out("whole");
    let (events, _) = said(gpt(
        &[&tune[..], &["--out", whole.to_str().unwrap()]].concat()
    ));
    let done = untimed(events.last().unwrap());
    assert_eq!(
        (&done["forwards"], &done["backwards"]),
        (&80.into(), &0.into())
    );
    assert_eq!(killed_and_resumed(&out("parts"), &tune), done);
    let live = |path: &Path| {
        read_card(path)
            .unwrap()
            .unwrap()
            .saved()
            .unwrap()
            .masks
            .clone()
    };
    let before = live(Path::new(model));
    assert!(before.is_some());
    assert_eq!(live(&whole.join("model.safetensors")), before);
}

#[test]
fn what_a_language_model_cannot_do_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = texts(folder.path());
    let gpt = |more: &[&str]| refusal(gpt(&[&GPT[..], &["--folder", &text], more].concat()));
    for (more, named) in [
        (&["--untied", "--lr", "0"][..], "--lr is 0"),
        (&["--method", "rigl", "--sparsity", "1.5"], "sparsity"),
        (
            &["--forward-only", "--method", "set", "--sharpness", "sam"],
            "--sharpness out",
        ),
        (
            &["--forward-only", "--method", "rigl"],
            "gradient of dead weights",
        ),
        (&["--method", "keep"], "keep"),
        (
            &["--finetune", "nowhere.safetensors"],
            "nowhere.safetensors",
        ),
    ] {
        let said = gpt(more);
        assert!(said.contains(named), "{said}");
    }
    let empty = tempfile::tempdir().unwrap();
    let nothing = ["--folder", empty.path().to_str().unwrap()];
    let said = refusal(command_of("language_model", &nothing).output().unwrap());
    assert!(said.contains("0 files of such text"), "{said}");
    let short = ["--folder", &text, "--context", "5000"];
    let said = refusal(command_of("language_model", &short).output().unwrap());
    assert!(said.contains("--context is 5000"), "{said}");
}

/// Runs depend on their seed alone; both kinds of networks train.
#[test]
fn sequences_are_learnt_seed_by_seed() {
    let run = |more: &[&str]| {
        let small = [
            "--samples",
            "200",
            "--width",
            "8",
            "--epochs",
            "2",
            "--batch-size",
            "20",
        ];
        let arguments = [&small[..], more, &["--json"]].concat();
        said(command_of("sequences", &arguments).output().unwrap()).0
    };
    let events = run(&["--seeds", "2"]);
    let kinds: Vec<&str> = events
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["epoch", "epoch", "epoch", "epoch", "done"]);
    let runs = |events: &[Value]| events.last().unwrap()["runs"].clone();
    let hash = |run: &Value| run["weights_hash"].clone();
    let both = runs(&events);
    assert_ne!(hash(&both[0]), hash(&both[1]));
    let second = runs(&run(&["--seed", "1"]));
    assert_eq!(hash(&second[0]), hash(&both[1]));
    assert_eq!(second[0]["seed"], 1);
    let lstm = run(&[
        "--network",
        "lstm",
        "--method",
        "snip",
        "--sharpness",
        "esam",
    ]);
    let live = runs(&lstm)[0]["live_weights"].as_u64().unwrap();
    // Four gates of two layers each, and the output: 4 (4·8 + 8·8) + 80.
    assert_eq!(live, 46);
    for (refused, named) in [
        (&["--samples", "15"][..], "multiple of 10"),
        (
            &["--network", "lstm", "--method", "grasp"],
            "--method grasp",
        ),
    ] {
        let output = command_of("sequences", refused).output().unwrap();
        let text = refusal(output);
        assert!(text.contains(named), "{text}");
    }
}

/// Both tasks train, and keep metrics, pictures and a model whose dead weights are gone.
#[test]
fn scenes_are_learnt_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let small = [
        "--scenes",
        "20",
        "--test-scenes",
        "10",
        "--width",
        "2",
        "--epochs",
        "2",
        "--batch-size",
        "5",
    ];
    for (task, score) in [("segment", "test_miou"), ("detect", "test_map_50")] {
        let run = |more: &[&str]| {
            let arguments = [&small[..], &["--task", task, "--json"], more].concat();
            command_of("scenes", &arguments).output().unwrap()
        };
        let out = folder.path().join(task);
        let out = out.to_str().unwrap();
        let (events, _) = said(run(&["--seeds", "2", "--out", out]));
        let kinds = events.iter().map(|event| event["event"].as_str().unwrap());
        let expected = ["epoch", "epoch", "epoch", "epoch", "done"];
        assert!(kinds.eq(expected), "{events:?}");
        let done = events.last().unwrap();
        assert!(
            (0.0..=1.0).contains(&done[score].as_f64().unwrap()),
            "{done}"
        );
        let loss = |number: usize| events[number]["train_loss"].as_f64().unwrap();
        assert!(loss(1) < loss(0), "it learns");
        let runs = &done["runs"];
        assert_ne!(runs[0]["weights_hash"], runs[1]["weights_hash"]);
        let (again, _) = said(run(&["--seed", "1"]));
        let again = &again.last().unwrap()["runs"][0];
        assert_eq!(again["weights_hash"], runs[1]["weights_hash"]);
        for seed in 0..2 {
            let kept = Path::new(out).join(format!("seed-{seed}"));
            let metrics = std::fs::read_to_string(kept.join("metrics.jsonl")).unwrap();
            assert_eq!(metrics.lines().count(), 2);
            let picture = image::open(kept.join("predictions.png")).unwrap();
            // Three rows of eight scenes, three times as large, with gaps of six.
            assert_eq!((picture.width(), picture.height()), (1590, 600));
            assert!(kept.join("model.safetensors").is_file());
        }
        let refused = refusal(run(&["--out", out]));
        assert!(refused.contains("choose another"), "{refused}");
    }
    let few = ["--scenes", "3"];
    let said = refusal(command_of("scenes", &few).output().unwrap());
    assert!(said.contains("--batch-size is 5"), "{said}");
    let grasp = ["--task", "detect", "--method", "grasp", "--scenes", "20"];
    refusal(command_of("scenes", &grasp).output().unwrap());
}
