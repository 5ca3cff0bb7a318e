//! Options from files.

use super::*;

/// Every shipped recipe is one of the program's, and the command line wins over it.
#[test]
fn recipes_are_options_that_the_command_line_overrides() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let recipes: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        // Beside recipes there is a folder of studies, which tests/cli/study.rs reads.
        .filter(|path| path.is_file())
        .collect();
    assert!(recipes.len() >= 7);
    for recipe in recipes {
        let text = std::fs::read_to_string(&recipe).unwrap();
        let options: Value = serde_json::from_str(&text).unwrap();
        let program = options["program"].as_str().unwrap();
        let (depth, width) = match (program, options["options"]["network"].as_str()) {
            ("deit", _) => ("2", "24"),
            (_, Some("vgg")) => ("11", "2"),
            (_, Some("wide-resnet")) => ("10", "1"),
            _ => ("8", "4"),
        };
        let of_deit = ["--heads", "3", "--patch", "4"];
        let more = if program == "deit" { &of_deit[..] } else { &[] };
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
            "--test-limit",
            "100",
        ];
        let short = ["--epochs", "1", "--batch-size", "64", "--json"];
        let arguments = [&["--recipe", recipe], &small[..], &short, more].concat();
        let output = command_of(program, &arguments).output().unwrap();
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
