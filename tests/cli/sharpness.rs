//! Every perturbation by its name, and what is written wrong.

use super::*;

fn done(arguments: &[&str]) -> Value {
    let small = [
        "--depth",
        "8",
        "--width",
        "4",
        "--limit",
        "96",
        "--epochs",
        "1",
        "--test-limit",
        "100",
    ];
    let output = run(&[&small[..], &["--batch-size", "32", "--json"], arguments].concat());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}");
    events(&output.stdout).pop().unwrap()
}

/// Forwards and backwards of three steps.
#[test]
fn a_perturbation_is_one_word() {
    for (name, passes) in [
        ("none", (3, 3)),
        ("sam", (6, 6)),
        ("asam", (6, 6)),
        ("gsam", (6, 6)),
        ("esam", (9, 6)),
        ("looksam", (4, 4)),
        ("s2sam", (3, 3)),
        ("msam", (3, 3)),
        ("fsam", (6, 6)),
        ("wsam", (6, 6)),
        ("fisher-sam", (6, 6)),
        ("zo-sam", (6, 3)),
        ("random", (3, 3)),
        ("random-sign", (3, 3)),
    ] {
        let end = done(&["--sharpness", name]);
        assert_eq!(
            (
                end["forwards"].as_u64().unwrap(),
                end["backwards"].as_u64().unwrap()
            ),
            passes,
            "{name}"
        );
    }
}

#[test]
fn directions_and_schedules_are_options() {
    for (options, forwards) in [
        (&["--direction", "guided"][..], 6),
        (&["--direction", "guided", "--directions", "0"], 3),
        (&["--direction", "orthogonal", "--directions", "2"], 15),
        (&["--probe-fraction", "0.25"], 9),
        (&["--reuse", "3"], 4),
        (
            &[
                "--sides",
                "one",
                "--draw",
                "rademacher",
                "--perturbed",
                "sparse",
            ],
            9,
        ),
        (&["--sharpness-schedule", "every:2"], 5),
        (&["--sharpness-schedule", "tail:0.34,ramp:0.5"], 4),
        (
            &["--sharpness-schedule", "frozen", "--update-every", "1"],
            4,
        ),
    ] {
        let end = done(options);
        assert_eq!(end["forwards"], forwards, "{options:?}");
    }
    for bad in ["sometimes", "every:0", "tail:2", "ramp:x"] {
        let output = run(&["--sharpness-schedule", bad]);
        assert_eq!(output.status.code(), Some(2), "{bad}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(bad), "{text}");
    }
}
