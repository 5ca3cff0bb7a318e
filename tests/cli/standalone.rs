//! Model files that need nothing beside them.

use zosam::inference::SparseNetwork;
use zosam::masks::Masks;
use zosam::model_file::{load, load_model, read_card};
use zosam::models::{ResNetConfig, VggConfig};

use super::*;
use burn::tensor::{Device, Tensor};

/// Pictures of some classes, brighter from class to class, 20 × 24 pixels.
fn pictures(folder: &Path, classes: &[&str], train: u32, val: u32) {
    for (split, count) in [("train", train), ("val", val)] {
        for (class, name) in classes.iter().enumerate() {
            let folder = folder.join(split).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            for number in 0..count {
                let shade = 20 + 200 * class as u32 / classes.len() as u32;
                let picture = image::RgbImage::from_fn(20, 24, |x, y| {
                    let value = shade + (x * (number + 1) + 3 * y) % 40;
                    image::Rgb([value as u8, (value / 2) as u8, 90])
                });
                let kind = ["png", "jpg", "webp"][number as usize % 3];
                picture
                    .save(folder.join(format!("{number}.{kind}")))
                    .unwrap();
            }
        }
    }
}

/// A folder of ten classes.
pub fn ten_classes(folder: &Path) {
    let classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    pictures(folder, &classes, 4, 2);
}

struct Trained {
    folder: tempfile::TempDir,
    data: PathBuf,
    model: PathBuf,
}

impl Trained {
    /// A small net, trained by DSR to 90 % on a folder of three classes.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, out) = (folder.path().join("data"), folder.path().join("run"));
        pictures(&data, &["cat", "dog", "owl"], 10, 4);
        let options = ["train", "--depth", "8", "--width", "4", "--method", "dsr"];
        let size = ["--image-size", "24", "--batch-size", "10", "--epochs", "2"];
        let paths = [
            "--data",
            data.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ];
        said(run(&[&options[..], &size, &paths].concat()));
        Self {
            model: out.join("model.safetensors"),
            folder,
            data,
        }
    }

    fn model(&self) -> &str {
        self.model.to_str().unwrap()
    }

    fn file(&self, class: &str) -> String {
        let file = self.data.join("val").join(class).join("0.png");
        file.to_str().unwrap().to_string()
    }
}

/// Moved away from its training images, a model names pictures to the bit as before, and tests the same whatever `--limit` says.
#[test]
fn a_file_is_used_without_its_training_images() {
    let trained = Trained::new();
    let predict = |trained: &Trained| {
        let files = ["cat", "dog", "owl"].map(|class| trained.file(class));
        let [a, b, c] = files.each_ref().map(String::as_str);
        let (answers, _) = said(run(&["predict", trained.model(), a, b, c, "--json"]));
        answers
            .iter()
            .map(|answer| answer["best"].clone())
            .collect::<Vec<_>>()
    };
    let before = predict(&trained);
    assert_eq!(before.len(), 3);
    std::fs::remove_dir_all(trained.data.join("train")).unwrap();
    assert_eq!(predict(&trained), before);

    let data = trained.data.to_str().unwrap();
    let test = |more: &[&str]| {
        let arguments = [
            &["evaluate", trained.model(), "--json", "--data", data],
            more,
        ]
        .concat();
        said(run(&arguments)).0.remove(0)
    };
    let expected = test(&[]);
    for limit in ["1", "7", "4000"] {
        assert_eq!(test(&["--limit", limit]), expected);
        let before = [
            "--limit",
            limit,
            "evaluate",
            trained.model(),
            "--json",
            "--data",
            data,
        ];
        assert_eq!(said(run(&before)).0[0], expected);
    }
    // The folder of the classes itself.
    let val = trained.data.join("val");
    let of_val = [
        "evaluate",
        trained.model(),
        "--json",
        "--data",
        val.to_str().unwrap(),
    ];
    assert_eq!(said(run(&of_val)).0[0], expected);
    // A run's own results are in its file.
    let card = read_card(&trained.model).unwrap().unwrap();
    assert_eq!(
        Value::from(card.results()["test accuracy"]),
        expected["accuracy"]
    );
    let (info, shown) = said(run(&["info", trained.model(), "--json"]));
    assert_eq!(info[0]["card"]["config"]["depth"], 8);
    for word in [
        "resnet: channels 3, classes 3, depth 8",
        "3: cat, dog, owl",
        "24 × 24, colour",
        "dsr",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
}

/// Options and folders that say something else than the file are refused by name.
#[test]
fn what_contradicts_a_file_is_refused() {
    let trained = Trained::new();
    let (model, picture) = (trained.model(), trained.file("cat"));
    for (arguments, named) in [
        (vec!["--depth", "20"], "--depth is 20, but the file says 8"),
        (vec!["--width", "16"], "--width is 16, but the file says 4"),
        (
            vec!["--network", "vgg"],
            "--network is vgg, but the file says resnet",
        ),
        (
            vec!["--image-size", "32"],
            "--image-size is 32, but the file says 24",
        ),
    ] {
        for command in [vec!["predict", model, &picture], vec!["evaluate", model]] {
            let text = refusal(run(&[&arguments[..], &command].concat()));
            assert!(text.contains(named), "{text}");
            let text = refusal(run(&[&command[..], &arguments].concat()));
            assert!(text.contains(named), "{text}");
        }
    }
    let other =
        |program, arguments: &[&str]| refusal(command_of(program, arguments).output().unwrap());
    let text = other("deit", &["predict", model, &picture]);
    assert!(
        text.contains("of family `resnet`, which this program does not know"),
        "{text}"
    );
    let text = refusal(run(&["evaluate", model, "--dataset", "fashion-mnist"]));
    assert!(text.contains("has images of [1, 28, 28]"), "{text}");
    let text = refusal(run(&["evaluate", model]));
    assert!(text.contains("--data DIR names one"), "{text}");

    // Folders are matched by name: one that the model does not know is refused, fewer are not.
    let (folder, val) = (trained.folder.path().join("more"), trained.data.join("val"));
    for class in ["dog", "owl", "cat"] {
        let to = folder.join(class);
        std::fs::create_dir_all(&to).unwrap();
        std::fs::copy(val.join(class).join("0.png"), to.join("0.png")).unwrap();
    }
    let test = |folder: &Path| {
        run(&[
            "evaluate",
            model,
            "--json",
            "--data",
            folder.to_str().unwrap(),
        ])
    };
    assert_eq!(
        said(test(&folder)).0[0]["confusion"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    std::fs::remove_dir_all(folder.join("cat")).unwrap();
    std::fs::remove_file(folder.join("dog/0.png")).unwrap();
    std::fs::write(folder.join("dog/0.heic"), "").unwrap();
    let (events, text) = said(test(&folder));
    assert!(text.contains("no images of 1 classes: dog"), "{text}");
    assert!(text.contains("no folder for 1 classes: cat"), "{text}");
    assert!(text.contains("passed over 1 .heic file,"), "{text}");
    // The only class left is the third.
    let rows = events[0]["confusion"].as_array().unwrap();
    let sum = |row: &Value| {
        row.as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_u64().unwrap())
            .sum()
    };
    assert_eq!(rows.iter().map(sum).collect::<Vec<u64>>(), [0, 0, 1]);
    std::fs::rename(folder.join("owl"), folder.join("wolf")).unwrap();
    let refused = test(&folder);
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(
        text.contains("wolf: is none of the 3 classes: cat, dog, owl"),
        "{text}"
    );
}

/// Fine-tuning keeps the file's live weights unless it is told otherwise, then says so.
#[test]
fn a_sparse_net_is_fine_tuned() {
    let trained = Trained::new();
    let data = ["--data", trained.data.to_str().unwrap(), "--epochs", "1"];
    let masks = |model: &Path| {
        let loaded = load::<ResNetConfig>(model, &Device::flex()).unwrap();
        let saved = loaded.card.saved().unwrap().masks.clone();
        assert_eq!(saved, Some(loaded.masks.fingerprint()));
        (saved, loaded.card)
    };
    let (before, first) = masks(&trained.model);
    let tune = |name: &str, more: &[&str]| {
        let out = trained.folder.path().join(name);
        let start = [
            "--finetune",
            trained.model(),
            "--out",
            out.to_str().unwrap(),
            "--json",
        ];
        let (events, text) = said(run(&[&start[..], &data, more].concat()));
        let events = events.last().unwrap().clone();
        (out.join("model.safetensors"), events, text)
    };
    for (name, more) in [("default", &[][..]), ("keep", &["--method", "keep"])] {
        let (model, done, text) = tune(name, more);
        let (after, card) = masks(&model);
        assert_eq!(after, before, "{text}");
        assert_ne!(
            card.saved().unwrap().weights,
            first.saved().unwrap().weights
        );
        assert!(
            text.contains("optimizer and schedules start afresh"),
            "{text}"
        );
        // Its images are those that the net knows.
        assert_eq!(
            (card.input(), card.classes()),
            (first.input(), first.classes())
        );
        let of_file = first.saved().unwrap().live.unwrap()[0];
        assert_eq!(done["live_weights"], of_file);
    }
    // A method that exchanges weights begins with them, at their sparsity.
    let (_, done, text) = tune("rigl", &["--method", "rigl", "--epochs", "4"]);
    assert!(text.contains("rigl begins with the"), "{text}");
    assert_eq!(
        done["live_weights"],
        first.saved().unwrap().live.unwrap()[0]
    );
    // One that chooses its own says that it does not use them.
    let (_, _, text) = tune("snip", &["--method", "snip"]);
    assert!(
        text.contains("warning: --method snip does not use the file's masks"),
        "{text}"
    );
    // It goes on without the file's options, and to the same masks.
    let out = trained.folder.path().join("default");
    let again = ["--extend", "1", "--out", out.to_str().unwrap()];
    said(run(&again));
    assert_eq!(masks(&out.join("model.safetensors")).0, before);

    // For other classes: the classifier starts afresh, the rest is kept.
    let ten = trained.folder.path().join("ten");
    ten_classes(&ten);
    let out = trained.folder.path().join("other");
    let start = [
        "--finetune",
        trained.model(),
        "--out",
        out.to_str().unwrap(),
    ];
    let (_, text) = said(run(&[
        &start[..],
        &["--epochs", "1", "--data", ten.to_str().unwrap()],
    ]
    .concat()));
    assert!(
        text.contains("is for 3 classes, which are others: the classifier starts afresh for 10"),
        "{text}"
    );
    let loaded = load::<ResNetConfig>(out.join("model.safetensors"), &Device::flex()).unwrap();
    let expected = load::<ResNetConfig>(&trained.model, &Device::flex()).unwrap();
    let sets = |masks: &Masks| {
        let leaves: Vec<_> = masks.leaves().cloned().collect();
        let set = |leaf: zosam::tree::Leaf| (leaf.path.clone(), masks.live_set(leaf.id).unwrap());
        let sets = leaves.into_iter().map(set);
        sets.filter(|(path, _)| path != "linear.weight")
            .collect::<Vec<_>>()
    };
    assert_eq!(sets(&loaded.masks), sets(&expected.masks));
    // Without masks or zeros there is nothing to keep.
    let text = refusal(run(&["--method", "keep", "--depth", "8", "--limit", "64"]));
    assert!(text.contains("keep"), "{text}");
}

/// What PyTorch pruned stays pruned: by its masks, or by its zeros.
#[cfg(feature = "pytorch")]
#[test]
fn a_pruned_checkpoint_is_fine_tuned() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    ten_classes(&data);
    let network = ["--network", "vgg", "--depth", "11", "--width", "2"];
    let images = [
        "--data",
        data.to_str().unwrap(),
        "--image-size",
        "24",
        "--epochs",
        "1",
    ];
    for name in ["vgg_pruned.pth", "vgg_zeros.pth"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden/files")
            .join(name);
        let out = folder.path().join(name);
        let paths = [
            "--finetune",
            file.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ];
        said(run(
            &[&network[..], &images, &paths, &["--method", "keep"]].concat()
        ));
        let config = VggConfig::vgg11(10).with_width(2);
        let model = config.init(&Device::flex()).unwrap();
        let (model, _) = load_model(&file, model).unwrap();
        let expected = Masks::from_nonzeros(&model).fingerprint();
        let tuned = load::<VggConfig>(out.join("model.safetensors"), &Device::flex()).unwrap();
        assert_eq!(tuned.masks.fingerprint(), expected, "{name}");
    }
    // Zeros that will not stay so are worth a word.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/files/vgg_zeros.pth");
    let start = ["--finetune", file.to_str().unwrap(), "--method", "dense"];
    let (_, text) = said(run(&[&network[..], &images, &start].concat()));
    assert!(text.contains("--method keep keeps them"), "{text}");
}

/// For other programs: dense, under PyTorch's names; and a file without a card gets one.
#[test]
fn files_are_exported() {
    let trained = Trained::new();
    let dense = trained.folder.path().join("dense.safetensors");
    let export = [
        "export",
        trained.model(),
        dense.to_str().unwrap(),
        "--dense",
    ];
    said(run(&export));
    let text = refusal(run(&export));
    assert!(text.contains("exists already"), "{text}");
    let bytes = std::fs::read(&dense).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("bn1.weight").unwrap().shape(), [4]);
    assert_eq!(
        tensors.tensor("layer1.0.conv1.weight").unwrap().shape(),
        [4, 4, 3, 3]
    );
    let predict = |model: &str| said(run(&["predict", model, &trained.file("owl"), "--json"])).0;
    assert_eq!(predict(dense.to_str().unwrap()), predict(trained.model()));

    let [compiled, onnx] = ["compiled", "onnx"].map(|name| trained.folder.path().join(name));
    for (layout, to) in [("--compiled", &compiled), ("--onnx", &onnx)] {
        said(run(&[
            "export",
            trained.model(),
            to.to_str().unwrap(),
            layout,
        ]));
    }
    let network = SparseNetwork::load(compiled).unwrap();
    let logits = network.logits(&[0.5; 2 * 3 * 24 * 24]).unwrap();
    let model = load::<ResNetConfig>(trained.model(), &Device::flex()).unwrap();
    let images = Tensor::full([2, 3, 24, 24], 0.5, &Device::flex());
    let expected = model.model.forward(images).into_data();
    let expected = expected.try_to_vec::<f32>().unwrap();
    for (compiled, expected) in logits.iter().zip(&expected) {
        // Two orders of the same sums, in f32.
        assert!((compiled - expected).abs() <= 1e-5 * expected.abs().max(1.0));
    }
    let onnx = std::fs::read(onnx).unwrap();
    let has = |text: &[u8]| onnx.windows(text.len()).any(|bytes| bytes == text);
    assert!(has(b"zosam") && has(b"Conv"));
    let both = ["export", trained.model(), "x", "--onnx", "--compiled"];
    assert!(refusal(run(&both)).contains("cannot be used with"));

    // A file of version 0.1: with its network's options and images, as before.
    let old = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/sparse.safetensors"
    );
    let data = trained.folder.path().join("ten");
    ten_classes(&data);
    let network = [
        "--depth",
        "8",
        "--width",
        "4",
        "--data",
        data.to_str().unwrap(),
    ];
    let text = refusal(run(&["evaluate", old]));
    assert!(text.contains("tensor `"), "{text}");
    let (events, _) = said(run(&[&network[..], &["evaluate", old, "--json"]].concat()));
    assert_eq!(events[0]["event"], "evaluation");
    let new = trained.folder.path().join("new.safetensors");
    said(run(&[
        &["export", old, new.to_str().unwrap()],
        &network[..],
    ]
    .concat()));
    let picture = data.join("val/3/0.png");
    let new = said(run(&[
        "predict",
        new.to_str().unwrap(),
        picture.to_str().unwrap(),
        "--json",
    ]))
    .0;
    let old = [
        &network[..],
        &["predict", old, picture.to_str().unwrap(), "--json"],
    ]
    .concat();
    assert_eq!(said(run(&old)).0, new);
}

/// Pictures as phones and editors write them.
#[test]
fn pictures_are_taken_as_they_come() {
    let trained = Trained::new();
    let picture =
        image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([(6 * x) as u8, 9, (8 * y) as u8]));
    let folder = trained.folder.path();
    let upright = folder.join("upright.png");
    picture.save(&upright).unwrap();
    // The same, held sideways (EXIF 6: shown turned clockwise), in a TIFF whose name says JPEG.
    let turned = image::imageops::rotate270(&picture);
    let sideways = folder.join("sideways.jpg");
    let mut bytes = std::io::Cursor::new(Vec::new());
    turned
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    let mut bytes = bytes.into_inner();
    let exif = b"eXIfMM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut chunk = ((exif.len() - 4) as u32).to_be_bytes().to_vec();
    chunk.extend(exif);
    chunk.extend(crc(exif).to_be_bytes());
    // Behind the signature and the header.
    bytes.splice(33..33, chunk);
    std::fs::write(&sideways, bytes).unwrap();
    let predict = |file: &Path| {
        let arguments = ["predict", trained.model(), file.to_str().unwrap(), "--json"];
        said(run(&arguments)).0[0]["best"].clone()
    };
    assert_eq!(predict(&upright), predict(&sideways));
}

/// PNG's checksum.
fn crc(bytes: &[u8]) -> u32 {
    let byte = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    };
    !bytes.iter().fold(!0, byte)
}
