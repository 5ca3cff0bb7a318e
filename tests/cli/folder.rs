//! Images of the user's own: folders of files, of all sizes and kinds, some damaged.

use super::*;

/// Two classes of pictures that differ in brightness, of several sizes, grey and coloured.
fn pictures(folder: &Path) {
    for (split, count) in [("train", 24), ("val", 10)] {
        for (class, bright) in [("dark", 40), ("light", 150)] {
            let folder = folder.join(split).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for number in 0..count {
                let [width, height] = [60 + 7 * number, 90 - 2 * number];
                let shade = |x: u32, y: u32| (bright + (x * number + 3 * y) % 90) as u8;
                let file = folder.join(format!("{number}.png"));
                match number % 3 {
                    0 => {
                        image::GrayImage::from_fn(width, height, |x, y| image::Luma([shade(x, y)]))
                            .save(file)
                            .unwrap()
                    }
                    _ => image::RgbImage::from_fn(width, height, |x, y| {
                        image::Rgb([shade(x, y), shade(y, x), 90])
                    })
                    .save(file)
                    .unwrap(),
                }
            }
        }
    }
}

fn deit(folder: &Path, arguments: &[&str]) -> Output {
    let small = [
        "--width",
        "16",
        "--heads",
        "2",
        "--depth",
        "1",
        "--epochs",
        "2",
        "--batch-size",
        "8",
        "--json",
    ];
    let data = ["--dataset", "folder", "--data", folder.to_str().unwrap()];
    let mut command = command_of("deit", &[&small[..], &data, arguments].concat());
    command.output().unwrap()
}

/// `evaluate` and `predict` show a network the same pixels of a file: as many of its first answers are right.
#[test]
fn predictions_are_those_of_the_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let out = folder.path().join("run");
    let size = ["--image-size", "64", "--patch", "16"];
    let trained = deit(
        folder.path(),
        &[&size[..], &["--out", out.to_str().unwrap()]].concat(),
    );
    assert!(trained.status.success(), "{}", text(&trained));
    let model = out.join("model.safetensors");
    let model = model.to_str().unwrap();

    let options = ["--corruptions", "fog,pixelate", "--severity", "5"];
    let tested = [&size[..], &["evaluate", model], &options].concat();
    let tested = deit(folder.path(), &tested);
    assert!(tested.status.success(), "{}", text(&tested));
    let tested = events(&tested.stdout);
    assert_eq!(tested[1]["event"], "robustness");
    assert!(tested[1]["accuracies"]["fog"]["5"].is_number());

    let val = folder.path().join("val");
    let files = ["dark", "light"].map(|class| val.join(class)).into_iter();
    let files = files.flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    let mut arguments = [&size[..], &["predict", model]].concat();
    arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
    let answers = deit(folder.path(), &arguments);
    assert!(answers.status.success(), "{}", text(&answers));
    let answers = events(&answers.stdout);
    assert_eq!(answers.len(), 20);
    let right = answers.iter().filter(|answer| {
        let file = Path::new(answer["file"].as_str().unwrap());
        let class = file.parent().unwrap().file_name().unwrap();
        answer["best"][0][0] == class.to_str().unwrap()
    });
    assert_eq!(
        right.count() as f64 / 20.0,
        tested[0]["accuracy"].as_f64().unwrap()
    );
}

#[test]
fn a_damaged_file_stops_the_run_or_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let damaged = folder.path().join("train/dark/7.png");
    let bytes = std::fs::read(&damaged).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let size = ["--image-size", "32", "--patch", "8"];
    let stopped = deit(folder.path(), &size);
    assert_eq!(stopped.status.code(), Some(2));
    assert!(text(&stopped).contains("7.png"), "{}", text(&stopped));
    let skipped = deit(
        folder.path(),
        &[&size[..], &["--corrupt-images", "skip"]].concat(),
    );
    assert!(skipped.status.success(), "{}", text(&skipped));
    assert!(
        text(&skipped).contains("left out an image, 1 of 48 so far"),
        "{}",
        text(&skipped)
    );
}

/// What cannot be a network's input says why.
#[test]
fn sizes_that_do_not_fit_say_why() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    for (arguments, named) in [
        (&["--image-size", "37"][..], "--image-size"),
        (&["--image-size", "37", "--patch", "5"], "37"),
        (&["--image-size", "0"], "0"),
        (&["--image-size", "32", "--patch", "0"], "patch"),
    ] {
        let output = deit(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert_eq!(
            text(&output).trim_end().lines().count(),
            1,
            "{}",
            text(&output)
        );
        assert!(text(&output).contains(named), "{}", text(&output));
    }
}
