//! Models in safetensors files: round trips, PyTorch's files, and what is refused.
#![cfg(all(feature = "flex", feature = "models"))]

mod cards;
mod foreign;
mod transfer;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use zosam::checkpoint::fingerprint;
use zosam::masks::Masks;
use zosam::model_file::{load_model, load_model_except, save_model, shapes};
use zosam::models::{Deit, DeitConfig, ResNet, ResNetConfig};
use zosam::{RandomStatic, Sparsity};

fn device() -> Device {
    Device::flex().autodiff()
}

fn resnet(classes: usize) -> ResNet {
    let config = ResNetConfig::resnet32(classes).with_depth(8).with_width(4);
    config.init(&device()).unwrap()
}

/// The network of the files in `golden`.
fn reduced_deit() -> Deit {
    let config = DeitConfig::tiny(10).with_image([16, 16]).with_patch(4);
    let config = config.with_width(24, 3).with_depth(2);
    config.init(&Device::flex()).unwrap()
}

/// A sparse ResNet that has seen a batch, so that its running statistics are not the initial ones.
fn trained() -> (ResNet, Masks) {
    let mut sparsity = Sparsity::new(RandomStatic::new(0.8));
    let model = resnet(10);
    let model = sparsity
        .attach(model, |model: &ResNet| {
            model.forward(Tensor::zeros([1, 3, 8, 8], &device())).sum()
        })
        .unwrap();
    let images = Tensor::random([4, 3, 8, 8], burn::tensor::Distribution::Default, &device());
    model.forward(images);
    (model, sparsity.masks().clone())
}

/// Bit for bit, running statistics and masks included, and the clones of the model that was loaded into are left alone.
#[test]
fn a_sparse_model_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (model, masks) = trained();
    save_model(&path, &model, &masks).unwrap();
    let other = resnet(10);
    let before = fingerprint(&other);
    let (loaded, read) = load_model(&path, other.clone()).unwrap();
    assert_eq!(fingerprint(&loaded), fingerprint(&model));
    assert_eq!(read.fingerprint(), masks.fingerprint());
    assert_eq!(fingerprint(&other), before);
    // Equal models give equal files.
    let again = folder.path().join("again.safetensors");
    save_model(&again, &loaded, &read).unwrap();
    let bytes = [&path, &again].map(|path| std::fs::read(path).unwrap());
    assert!(bytes[0] == bytes[1]);
    // Dense, too.
    save_model(&path, &model, &Masks::dense()).unwrap();
    let (loaded, read) = load_model(&path, resnet(10)).unwrap();
    assert_eq!(fingerprint(&loaded), fingerprint(&model));
    assert!(read.is_dense());
}

/// A DeiT-Tiny at 90 % takes at most 15 % of the dense file.
#[test]
fn size_follows_the_live_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (sparse, dense) = (folder.path().join("sparse"), folder.path().join("dense"));
    let model = DeitConfig::tiny(1000).init(&device()).unwrap();
    let mut sparsity = Sparsity::new(RandomStatic::new(0.9));
    let model = sparsity
        .attach(model, |_: &Deit| Tensor::<1>::zeros([1], &device()))
        .unwrap();
    save_model(&sparse, &model, sparsity.masks()).unwrap();
    save_model(&dense, &model, &Masks::dense()).unwrap();
    let size = |path| std::fs::metadata(path).unwrap().len() as f64;
    let ratio = size(&sparse) / size(&dense);
    assert!(ratio < 0.15, "{ratio}");
    let (loaded, masks) =
        load_model(&sparse, DeitConfig::tiny(1000).init(&device()).unwrap()).unwrap();
    assert_eq!(fingerprint(&loaded), fingerprint(&model));
    assert_eq!(masks.fingerprint(), sparsity.masks().fingerprint());
}

#[test]
fn what_does_not_fit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (model, masks) = trained();
    save_model(&path, &model, &masks).unwrap();
    let refused = |model: ResNet| load_model(&path, model).unwrap_err().to_string();
    let message = refused(resnet(7));
    assert!(
        message.contains("`linear.weight` has shape [10, 16], the model's has [7, 16]"),
        "{message}"
    );
    let deeper = ResNetConfig::resnet32(10).with_depth(14).with_width(4);
    let message = refused(deeper.init(&device()).unwrap());
    assert!(
        message.contains("it has no tensor `layer1.1.conv1.weight`"),
        "{message}"
    );
    let deeper = deeper.init(&device()).unwrap();
    save_model(&path, &deeper, &Masks::dense()).unwrap();
    let message = refused(resnet(10));
    assert!(message.contains("is not in the model"), "{message}");
    assert!(load_model(folder.path().join("nowhere"), resnet(10)).is_err());
}

/// Two thousand damaged files: refused, or, where the damage changed nothing that is read, loaded as they were.
#[test]
fn damaged_files_are_refused_or_unharmed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (model, masks) = trained();
    save_model(&path, &model, &masks).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let expected = fingerprint(&model);
    let target = resnet(10).valid();
    let mut generator = ChaCha8Rng::seed_from_u64(1);
    let mut refused = 0;
    for case in 0..2000 {
        let mut bytes = whole.clone();
        // Half of the damage in the header, where it is more interesting.
        let end = if case % 2 == 0 { 2000 } else { bytes.len() };
        let position = generator.random_range(0..end);
        match case % 3 {
            0 => bytes[position] ^= 1 << generator.random_range(0..8),
            1 => bytes[position] = generator.random(),
            _ => bytes.truncate(position),
        }
        std::fs::write(&path, &bytes).unwrap();
        match load_model(&path, target.clone()) {
            Err(_) => refused += 1,
            Ok((loaded, read)) => {
                assert_eq!(fingerprint(&loaded), expected, "case {case}");
                assert_eq!(read.fingerprint(), masks.fingerprint(), "case {case}");
            }
        }
    }
    assert!(refused > 1900, "{refused}");
}

/// PyTorch's safetensors have no checksum, so a changed value is a value; what cannot be right is refused, and nothing panics.
#[test]
fn damaged_files_of_others_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let whole = include_bytes!("../golden/deit.safetensors");
    let target = reduced_deit();
    let mut generator = ChaCha8Rng::seed_from_u64(3);
    let mut refused = 0;
    for case in 0..1000 {
        let mut bytes = whole.to_vec();
        // Nine of ten in the header, whose length comes first.
        let end = if case % 10 == 0 { bytes.len() } else { 4000 };
        let position = generator.random_range(0..end);
        match case % 3 {
            0 => bytes[position] ^= 1 << generator.random_range(0..8),
            1 => bytes[position] = generator.random(),
            _ => bytes.truncate(position),
        }
        std::fs::write(&path, &bytes).unwrap();
        refused += usize::from(load_model(&path, target.clone()).is_err());
    }
    assert!(refused > 700, "{refused}");
}

/// A later version is refused by its number, before its checksum is.
#[test]
fn another_version_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (model, masks) = trained();
    save_model(&path, &model, &masks).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let written = br#"version\":2"#;
    let place = bytes.windows(written.len()).position(|w| w == written);
    bytes[place.unwrap() + written.len() - 1] = b'7';
    std::fs::write(&path, &bytes).unwrap();
    let message = load_model(&path, resnet(10)).unwrap_err().to_string();
    assert!(
        message.contains("version 7, this crate reads 2 and 3"),
        "{message}"
    );
}

/// Another number of classes: all but the classifier is the file's, the classifier is the model's.
#[test]
fn the_classifier_may_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (model, masks) = trained();
    save_model(&path, &model, &masks).unwrap();
    let other = resnet(7);
    assert!(load_model(&path, other.clone()).is_err());
    let (loaded, read) = load_model_except(&path, other.clone(), &["linear."]).unwrap();
    let tensors = [&loaded, &model, &other].map(zosam::tree::named_tensors);
    for ((path, found), (source, own)) in tensors[0].iter().zip(tensors[1].iter().zip(&tensors[2]))
    {
        let expected = if path.starts_with("linear.") {
            own
        } else {
            source
        };
        assert_eq!(found, &expected.1, "{path}");
    }
    assert!(!read.is_dense());
    assert_eq!(shapes(&path).unwrap()["linear.weight"], [10, 16]);
}

/// Damage to a PyTorch checkpoint: refused, or it did not reach what is read. A changed value in a `.pth` has the zip's CRC-32
/// against it.
#[cfg(feature = "pytorch")]
#[test]
fn damaged_checkpoints_are_refused_or_unharmed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    let whole = include_bytes!("../golden/deit.pth");
    let target = reduced_deit();
    std::fs::write(&path, whole).unwrap();
    let (model, _) = load_model(&path, target.clone()).unwrap();
    let expected = fingerprint(&model);
    let mut generator = ChaCha8Rng::seed_from_u64(2);
    let mut refused = 0;
    for case in 0..500 {
        let mut bytes = whole.to_vec();
        let position = generator.random_range(0..bytes.len());
        match case % 3 {
            0 => bytes[position] ^= 1 << generator.random_range(0..8),
            1 => bytes[position] = generator.random(),
            _ => bytes.truncate(position),
        }
        std::fs::write(&path, &bytes).unwrap();
        match load_model(&path, target.clone()) {
            Err(_) => refused += 1,
            Ok((loaded, _)) => assert_eq!(fingerprint(&loaded), expected, "case {case}"),
        }
    }
    assert!(refused > 400, "{refused}");
}

/// The Python of the docs is the one that was run (`tests/golden/read_model.py`).
#[test]
fn the_documented_python_is_the_script() {
    let script = include_str!("../golden/read_model.py");
    let (_, rest) = script.split_once("# docs/MODEL_FILES.md begins\n").unwrap();
    let (code, _) = rest.split_once("# docs/MODEL_FILES.md ends").unwrap();
    let docs = include_str!("../../docs/MODEL_FILES.md");
    assert!(docs.contains(code.trim()), "copy the script into the docs");
}
