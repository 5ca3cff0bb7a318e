//! Comparisons of runs, and the measurement of one.

use super::*;

#[path = "../../examples/common/spread.rs"]
mod spread;
#[path = "../../examples/common/study/statistics.rs"]
mod statistics;

use spread::deviation;
use statistics::Difference;

/// Student's t has closed forms for one and for two degrees of freedom.
#[test]
fn p_values_are_students() {
    // Two pairs: p = 1 − 2/π atan |t|; here t = 3.
    let two = Difference::of(&[1.0, 2.0]).unwrap();
    assert_eq!((two.mean, two.error), (1.5, Some(0.5)));
    let expected = 1.0 - 2.0 / std::f64::consts::PI * 3.0_f64.atan();
    // A distribution function by continued fractions.
    assert!((two.p.unwrap() - expected).abs() < 1e-9);
    // Three pairs: p = 1 − |t| / √(2 + t²).
    let three = Difference::of(&[-1.0, -2.0, -3.0]).unwrap();
    let t = 2.0 / (1.0 / 3.0_f64.sqrt());
    assert!((three.p.unwrap() - (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-9);
    // One pair tells nothing, nor do pairs without a spread, nor none.
    assert_eq!(Difference::of(&[1.0]).unwrap().p, None);
    assert_eq!(Difference::of(&[1.0, 1.0]).unwrap().p, None);
    assert_eq!(Difference::of(&[]), None);
    assert_eq!(deviation(&[2.0, 4.0]), 2.0_f64.sqrt());
}

/// What a comparison says: a difference that chance makes rarely, one that it makes often, and too few pairs.
#[test]
fn sentences_say_what_was_seen() {
    let says = |pairs: &[f64]| {
        let difference = Difference::of(pairs).unwrap();
        difference.sentence("test loss", "SAM", "SGD", 2)
    };
    assert!(says(&[1.0, 1.1, 0.9]).starts_with("SAM has another test loss than SGD: +1.00 ± 0.06"));
    assert!(says(&[1.0, -1.1, 0.9]).contains("no difference in test loss seen"));
    assert!(says(&[1.0]).contains("too few pairs"));
}

const PLAN: &str = r#"{
  "title": "Small", "question": "Does it run?",
  "options": "--depth 8 --width 4 --limit 64 --test-limit 50 --epochs 2",
  "rows": [
    {"name": "random <90 %>", "options": "--method random", "published": {"SGD": 12.5}},
    {"name": "dense", "options": "--method dense"}
  ],
  "columns": [
    {"name": "SGD", "options": "--sharpness none"},
    {"name": "coin toss", "options": "--sharpness random-sign"}
  ],
  "baseline": "SGD", "control": "coin toss", "seeds": 2
}"#;

/// Those that come with the program have options that a run may have. `budget`, which measures costs first, is left to the smoke runs.
#[test]
fn our_studies_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "paper",
        "variants",
        "ladder",
        "radius",
        "methods",
        "seconds",
        "sparser",
        "sensitivity",
    ] {
        let out = folder.path().join(name);
        said(run(&[
            "study",
            name,
            "--budget",
            "0s",
            "--out",
            out.to_str().unwrap(),
        ]));
        let report = std::fs::read_to_string(out.join("report.md")).unwrap();
        assert!(report.contains("not run"), "{report}");
        assert!(!out.join("runs.jsonl").exists());
    }
}

/// A study reports what is finished and what is not, goes on, and makes no run twice.
#[test]
fn a_study_goes_on_and_reports() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.json");
    std::fs::write(&plan, PLAN).unwrap();
    let (plan, out) = (plan.to_str().unwrap(), folder.path().join("out"));
    let study = |more: &[&str]| {
        let start = ["study", plan, "--out", out.to_str().unwrap()];
        run(&[&start[..], more].concat())
    };
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();

    // Without time for any run the table is there all the same.
    said(study(&["--budget", "0s"]));
    let report = read("report.md");
    assert!(report.contains("| random <90 %> | 12.50 → not run | not run |"));
    // A published number of other images stands beside ours: the report says what ours are of.
    assert!(report.contains("built-in sample of Fashion-MNIST"));

    said(study(&["--seeds", "1", "--rows", "random"]));
    assert_eq!(read("runs.jsonl").lines().count(), 2);

    let (_, text) = said(study(&[]));
    assert!(!text.contains("random <90 %>, SGD, seed 0"), "{text}");
    assert!(text.contains("random <90 %>, SGD, seed 1"), "{text}");
    let report = read("report.md");
    assert_eq!(read("runs.jsonl").lines().count(), 8);
    assert!(report.contains("| dense | ") && !report.contains("not run"));
    // Of either column four pairs: two rows of two seeds.
    assert!(report.contains("coin toss") && report.contains("4 pairs"));
    let page = read("report.html");
    assert!(page.contains("random &lt;90 %&gt;") && page.contains("</svg>"));
    assert!(
        !page.contains("src=") && !page.contains("href="),
        "it needs no network"
    );

    // A finished run is the run that the options make by themselves.
    let first: Value = serde_json::from_str(read("runs.jsonl").lines().next().unwrap()).unwrap();
    let options: Vec<&str> = first["options"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    let (events, _) = said(run(&[&options[..], &["--seed", "0", "--json"]].concat()));
    let epoch = events
        .iter()
        .rfind(|event| event["event"] == "epoch")
        .unwrap();
    assert_eq!(epoch["train_loss"], first["history"][1]["train_loss"]);
    assert_eq!(epoch["test_loss"], first["history"][1]["test_loss"]);

    // Nothing is left to do.
    let (_, text) = said(study(&[]));
    assert!(!text.contains("seed"), "{text}");

    // What the command line says wins over a row.
    said(study(&[
        "--rows",
        "dense",
        "--seeds",
        "1",
        "--with",
        "--method random",
    ]));
    let last: Value = serde_json::from_str(read("runs.jsonl").lines().last().unwrap()).unwrap();
    assert_eq!(
        last["history"][0]["sparsity"],
        first["history"][0]["sparsity"]
    );
    assert!(read("report.md").contains("assumed: `--method random` in place of"));
}

/// What a study file gets wrong is said in one line.
#[test]
fn a_study_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.json");
    let refused = |text: &str| {
        std::fs::write(&plan, text).unwrap();
        let out = folder.path().join("out");
        refusal(run(&[
            "study",
            plan.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ]))
    };
    assert!(refused("{}").contains("missing field"));
    let unknown = PLAN.replace(r#""baseline": "SGD""#, r#""baseline": "SAM""#);
    assert!(
        refused(&unknown).contains("`SAM`, which others are to be compared with, is no column")
    );
    let option = PLAN.replace("--epochs 2", "--epochs two");
    assert!(refused(&option).contains("invalid value 'two'"));
    assert!(refusal(run(&["study", "nothing"])).contains("neither a file nor one of paper"));
    assert!(refusal(run(&["study", "paper", "--budget", "2d"])).contains("20m"));
}

/// A model is measured once; the card of two has a column for each.
#[test]
fn models_are_measured_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let runs = [out("plain"), out("sam")];
    for (run_folder, sharpness) in runs.iter().zip(["none", "sam"]) {
        let options = [
            "--depth",
            "8",
            "--width",
            "4",
            "--limit",
            "64",
            "--test-limit",
            "50",
            "--epochs",
            "1",
        ];
        said(run(&[
            &options[..],
            &["--sharpness", sharpness, "--out", run_folder],
        ]
        .concat()));
    }
    let model = Path::new(&runs[0]).join("model.safetensors");
    let small = [
        "--images", "32", "--points", "3", "--steps", "4", "--draws", "1",
    ];
    let analyse = ["analyse", model.to_str().unwrap(), "--json"];
    let (events, text) = said(run(&[&analyse[..], &small].concat()));
    assert!(text.contains("largest eigenvalue"), "{text}");
    let [found] = events.as_slice() else {
        panic!("one event: {events:?}");
    };
    assert_eq!(found["landscape"]["loss"].as_array().unwrap().len(), 3);
    let kept = std::fs::read_to_string(Path::new(&runs[0]).join("analysis.json")).unwrap();
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["spectrum"], found["spectrum"]);

    let card = out("card");
    let with = small.join(" ");
    let study = [
        "study",
        "sharpness",
        &runs[0],
        &runs[1],
        "--out",
        &card,
        "--with",
        &with,
    ];
    said(run(&study));
    let svg = std::fs::read_to_string(Path::new(&card).join("sharpness.svg")).unwrap();
    assert!(svg.contains("plain: test") && svg.contains("sam: test"));
    assert!(refusal(run(&["study", "sharpness", "--out", &card])).contains("name the folders"));

    // The picture has a place for each model and layer; the first model is like itself.
    let features = [
        "features", &runs[0], &runs[1], &runs[0], "--layers", "2,7", "--out", &card, "--json",
    ];
    let (events, _) = said(run(&features));
    let svg = std::fs::read_to_string(Path::new(&card).join("features.svg")).unwrap();
    assert!(svg.contains("plain: layer1.0.bn1") && svg.contains("sam: layer3.0.bn2"));
    // A loaded model has no trainable parameter, and its classifier is found all the same.
    assert!(svg.contains("plain: evidence for") && svg.contains("sam: evidence for"));
    let [plain, _, again] = events.as_slice() else {
        panic!("an event for each model: {events:?}");
    };
    assert!(plain["layers"][0]["likeness"].is_null());
    // Sums of squares in f64.
    assert!((again["layers"][3]["likeness"].as_f64().unwrap() - 1.0).abs() < 1e-9);
    let missing = refusal(run(&[
        "features", &runs[0], "--layers", "8", "--out", &card,
    ]));
    assert!(missing.contains("layers 1 to 7"), "{missing}");
}

/// Points of a landscape are answered by compiled networks: the middle is the model itself, which `evaluate` answers by its layers.
#[test]
fn the_middle_of_a_landscape_is_the_models_loss() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let small = "--depth 8 --width 4 --limit 64 --test-limit 32 --epochs 1";
    let mut options: Vec<&str> = small.split(' ').collect();
    options.extend(["--out", out.to_str().unwrap()]);
    said(run(&options));
    let model = out.join("model.safetensors");
    let model = model.to_str().unwrap();

    // A landscape is of training images: the test images take their place.
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fashion-mnist");
    for kind in ["images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"] {
        let test = ours.join(format!("t10k-{kind}"));
        for split in ["train", "t10k"] {
            std::fs::copy(&test, folder.path().join(format!("{split}-{kind}"))).unwrap();
        }
    }
    let data = ["--data", folder.path().to_str().unwrap(), "--json"];
    let probes = "--images 32 --batch-size 20 --points 3 --steps 2 --probes 1 --draws 1";
    let probes: Vec<&str> = probes.split(' ').collect();
    let (found, _) = said(run(&[&["analyse", model], &data[..], &probes].concat()));
    let middle = found[0]["landscape"]["loss"][1][1].as_f64().unwrap();
    let tested = ["evaluate", model, "--test-limit", "32"];
    let (tested, _) = said(run(&[&tested[..], &data].concat()));
    let loss = tested[0]["loss"].as_f64().unwrap();
    // Both add in f32, in another order; 1e-4 is what compiling promises.
    assert!((middle - loss).abs() < 1e-4 * loss, "{middle} {loss}");
    // One wrong answer more or less would show.
    let wrong = found[0]["wrong"][1].as_f64().unwrap();
    let accuracy = tested[0]["accuracy"].as_f64().unwrap();
    assert!((wrong + accuracy - 1.0).abs() < 1e-6, "{wrong} {accuracy}");
}
