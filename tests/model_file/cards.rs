//! What files say of themselves.

use std::collections::HashMap;
use std::path::Path;

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zosam::model_file::{
    Card, Configuration, Input, Resampling, Resize, SaveOptions, load, read_card,
};
use zosam::models::VggConfig;
use zosam::sparse::Method;

use super::*;

fn config() -> ResNetConfig {
    ResNetConfig::resnet32(10).with_depth(8).with_width(4)
}

fn input() -> Input {
    Input {
        shape: [3, 32, 32],
        mean: vec![0.1, 1.0 / 3.0, 0.7],
        deviation: vec![0.2, 0.25, 1e-7],
        resize: Resize::CenterCrop { shorter_side: 36 },
        resampling: Resampling::Bicubic,
    }
}

fn names() -> Vec<String> {
    (0..10)
        .map(|class| format!("class \"{class}\" ü"))
        .collect()
}

fn card() -> Card {
    let method = Method::Random(RandomStatic::new(0.8));
    Card::new(&config())
        .unwrap()
        .with_classes(names())
        .unwrap()
        .with_input(input())
        .unwrap()
        .with_data("drawings")
        .with_method(&method)
        .unwrap()
        .with_result("accuracy", 0.1)
        .with_result("loss", f64::NAN)
        .with_result("rise", f64::NEG_INFINITY)
}

fn save(path: &Path) -> (ResNet, Masks) {
    let (model, masks) = trained();
    let options = SaveOptions::new().with_card(card());
    options.save(path, &model, &masks).unwrap();
    (model, masks)
}

/// Nothing else is needed: model, masks and all that was said come back, to the bit.
#[test]
fn a_file_stands_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (model, masks) = save(&path);
    let loaded = load::<ResNetConfig>(&path, &Device::flex()).unwrap();
    assert_eq!(loaded.config, config());
    assert_eq!(fingerprint(&loaded.model), fingerprint(&model));
    assert_eq!(loaded.masks.fingerprint(), masks.fingerprint());
    let card = &loaded.card;
    assert_eq!(card.classes(), names());
    let found = card.input().unwrap();
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&found.mean), bits(&input().mean));
    assert_eq!(bits(&found.deviation), bits(&input().deviation));
    assert_eq!((found, card.data()), (&input(), Some("drawings")));
    let method: Method = serde_json::from_value(card.method().unwrap().clone()).unwrap();
    assert_eq!(method, Method::Random(RandomStatic::new(0.8)));
    let results = card.results();
    assert!(results["loss"].is_nan() && results["accuracy"] == 0.1);
    assert_eq!(results["rise"], f64::NEG_INFINITY);
    let saved = card.saved().unwrap();
    assert_eq!(saved.weights, fingerprint(&model));
    assert_eq!(saved.masks, Some(masks.fingerprint()));
    assert_eq!(
        saved.live,
        Some([masks.live_weights(), masks.prunable_weights()])
    );
    assert_eq!(saved.zosam, env!("CARGO_PKG_VERSION"));

    // The same model and card give the same file; its card can be read without the model.
    let again = folder.path().join("again.safetensors");
    let options = SaveOptions::new().with_card(card.clone());
    options.save(&again, &loaded.model, &loaded.masks).unwrap();
    let bytes = [&path, &again].map(|path| std::fs::read(path).unwrap());
    assert!(bytes[0] == bytes[1]);
    let read = read_card(&path).unwrap().unwrap();
    assert_eq!((read.classes(), read.family()), (card.classes(), "resnet"));
    // Whoever has a model does not need the card.
    let (model, _) = load_model(&path, resnet(10)).unwrap();
    assert_eq!(fingerprint(&model), saved.weights);
}

/// Files without a card, of this crate's version 0.1 and of PyTorch, load as ever and say that they know no more.
#[test]
fn files_without_a_card_load_as_before() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for name in ["sparse.safetensors", "deit.safetensors"] {
        assert_eq!(read_card(golden.join(name)).unwrap(), None);
        let error = load::<ResNetConfig>(golden.join(name), &Device::flex());
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("does not say what model it is of"),
            "{message}"
        );
    }
    let (_, masks) = load_model(golden.join("sparse.safetensors"), resnet(10)).unwrap();
    assert!(!masks.is_dense());
}

/// All weights, with a card or without: the masks are not in the file, the zeros are.
#[test]
fn a_dense_file_has_the_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (model, masks) = trained();
    let options = SaveOptions::new().with_card(card()).dense();
    options.save(&path, &model, &masks).unwrap();
    let loaded = load::<ResNetConfig>(&path, &Device::flex()).unwrap();
    assert_eq!(fingerprint(&loaded.model), fingerprint(&model));
    assert!(loaded.masks.is_dense());
    assert_eq!(loaded.card.saved().unwrap().live, None);
    let zeros = Masks::from_nonzeros(&loaded.model);
    assert_eq!(zeros.live_weights(), masks.live_weights());
    let tensors = shapes(&path).unwrap();
    assert_eq!(tensors["conv1.weight"], [4, 3, 3, 3]);
    assert!(!tensors.keys().any(|name| name.ends_with(".live")));
}

/// What contradicts itself is refused where it is said.
#[test]
fn cards_that_contradict_themselves_are_refused() {
    let refused = |card: zosam::Result<Card>| card.unwrap_err().to_string();
    let new = || Card::new(&config()).unwrap();
    let message = refused(new().with_classes(&names()[..9]));
    assert!(message.contains("9 names for 10 classes"), "{message}");
    let twice: Vec<String> = (0..10).map(|class| format!("{}", class % 9)).collect();
    let message = refused(new().with_classes(twice));
    assert!(message.contains("`0` twice"), "{message}");
    type Change = fn(&mut Input);
    let changes: [(Change, &str); 7] = [
        (
            |input| input.mean.truncate(2),
            "input.mean = 2 values for 3 channels",
        ),
        (
            |input| input.deviation.push(1.0),
            "input.deviation = 4 values",
        ),
        (|input| input.deviation[1] = 0.0, "input.deviation = 0"),
        (|input| input.mean[0] = f32::NAN, "input.mean = NaN"),
        (|input| input.shape[1] = 0, "input.shape"),
        (|input| input.shape = [3, 32, 40], "input.resize"),
        (
            |input| {
                input.shape[0] = 1;
                input.mean.truncate(1);
                input.deviation.truncate(1);
            },
            "the channels and the image size of the configuration",
        ),
    ];
    for (change, named) in changes {
        let mut input = input();
        change(&mut input);
        let message = refused(new().with_input(input));
        assert!(message.contains(named), "{message}");
    }
    // A DeiT has a size.
    let deit = Card::new(&DeitConfig::tiny(10)).unwrap();
    assert!(refused(deit.with_input(input())).contains("input.shape = [3, 32, 32]"));
}

/// A file whose header was changed by somebody who knows how to make its sum.
fn forged(path: &Path, change: impl Fn(&mut Value)) {
    let bytes = std::fs::read(path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let header = metadata.metadata().as_ref().unwrap()["zosam"].clone();
    let mut header: Value = serde_json::from_str(&header).unwrap();
    change(&mut header["card"]);
    let shapes: std::collections::BTreeMap<String, Vec<usize>> =
        serde_json::from_value(header["shapes"].clone()).unwrap();
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(format!("{shapes:?}").as_bytes());
    part(header["card"].to_string().as_bytes());
    let mut views: Vec<_> = tensors.iter().collect();
    views.sort_by_key(|(name, _)| *name);
    for (name, view) in &views {
        part(name.as_bytes());
        part(format!("{:?}", view.dtype()).as_bytes());
        part(format!("{:?}", view.shape()).as_bytes());
        part(view.data());
    }
    let digest = hash.finalize();
    let sum: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    header["sha256"] = sum.into();
    let metadata = HashMap::from([("zosam".to_string(), header.to_string())]);
    let bytes = safetensors::serialize(views, Some(metadata)).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Where a file's sum is right and its card lies all the same.
#[test]
fn cards_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let load = || load::<ResNetConfig>(&path, &Device::flex());
    save(&path);
    forged(&path, |_| {});
    load().unwrap();
    type Change = fn(&mut Value);
    let lies: [(Change, &str); 10] = [
        (
            |card| card["version"] = 9.into(),
            "its card has version 9, this crate reads 1",
        ),
        (
            |card| card["family"] = "vgg".into(),
            "it is of family `vgg`, not `resnet`",
        ),
        (
            |card| card["config"]["classes"] = 7.into(),
            "10 names for 7 classes",
        ),
        (
            |card| card["config"]["depth"] = 14.into(),
            "it has no tensor `layer1.1.conv1.weight`",
        ),
        (|card| card["config"]["depth"] = 9.into(), "depth = 9"),
        (
            |card| card["config"] = json!({"depth": 8}),
            "its configuration cannot be read: missing field",
        ),
        (
            |card| card["classes"] = json!(["cat", "dog"]),
            "2 names for 10 classes",
        ),
        (
            |card| card["input"]["mean"] = json!([0.5]),
            "1 values for 3 channels",
        ),
        (
            |card| card["saved"]["masks"] = "0".repeat(64).into(),
            "its masks are not those that it was saved with",
        ),
        (
            |card| card["author"] = "me".into(),
            "unknown field `author`",
        ),
    ];
    for (lie, named) in lies {
        save(&path);
        forged(&path, lie);
        // With its sources.
        let message = format!("{:#}", anyhow::Error::from(load().unwrap_err()));
        assert!(message.contains(named), "{message}");
        assert!(message.contains("model.safetensors"), "{message}");
    }
    // Another family's card is refused by name, too.
    save(&path);
    let error = zosam::model_file::load::<VggConfig>(&path, &Device::flex());
    assert!(error.unwrap_err().to_string().contains(VggConfig::FAMILY));
}

/// Two thousand damaged files: refused, or what was saved.
#[test]
fn damaged_cards_are_refused_or_unharmed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (model, masks) = save(&path);
    let whole = std::fs::read(&path).unwrap();
    let (length, _) = SafeTensors::read_metadata(&whole).unwrap();
    let expected = read_card(&path).unwrap().unwrap();
    let (weights, masked) = (fingerprint(&model), masks.fingerprint());
    let mut generator = ChaCha8Rng::seed_from_u64(5);
    let mut refused = 0;
    for case in 0..2000 {
        let mut bytes = whole.clone();
        // Most of the damage in the header, where the card is.
        let end = if case % 5 == 0 {
            bytes.len()
        } else {
            length + 8
        };
        let position = generator.random_range(0..end);
        match case % 4 {
            0 => bytes[position] ^= 1 << generator.random_range(0..8),
            1 => bytes[position] = generator.random(),
            2 => bytes[position] = b"0123456789\"{}[],:"[generator.random_range(0..17)],
            _ => bytes.truncate(position),
        }
        std::fs::write(&path, &bytes).unwrap();
        match load::<ResNetConfig>(&path, &Device::flex()) {
            Err(_) => refused += 1,
            Ok(loaded) => {
                assert_eq!(fingerprint(&loaded.model), weights, "case {case}");
                assert_eq!(loaded.masks.fingerprint(), masked, "case {case}");
                // NaN among the results is equal to none, itself included.
                let text = |card: &Card| serde_json::to_string(card).unwrap();
                assert_eq!(text(&loaded.card), text(&expected), "case {case}");
            }
        }
    }
    assert!(refused > 1900, "{refused}");
}
