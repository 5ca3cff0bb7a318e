//! Checkpoints: whole or refused.
#![cfg(all(feature = "compile", feature = "onnx"))]

use std::fs;
use std::path::{Path, PathBuf};

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, SgdConfig, momentum::MomentumConfig};
use burn::tensor::{Device, Tensor};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use zosam::checkpoint::{Store, claim, fingerprint, write_atomically};
use zosam::inference::SparseNetwork;
use zosam::masks::Masks;
use zosam::model_file::{load_model, save_model};
use zosam::perturb::LookSamConfig;
use zosam::sparse::RandomStatic;
use zosam::{Error, RigL, Sparsity, ZoSam, ZoSamConfig};

/// Around what `init()` returns, as most people have it; the documentation's example has a bare rule.
type Optim = ZoSam;

fn start(inputs: usize) -> (Linear, Optim, Sparsity) {
    let device = Device::flex().autodiff();
    let model = LinearConfig::new(inputs, 4).init(&device);
    let optim = ZoSamConfig::new().init(AdamWConfig::new().init()).unwrap();
    (model, optim, Sparsity::new(RigL::new(0.5).until(100)))
}

fn step(model: Linear, optim: &mut Optim, sparsity: &mut Sparsity) -> Linear {
    let batch = Tensor::<2>::ones([4, 8], &Device::flex().autodiff());
    let loss = |model: &Linear| model.forward(batch.clone()).powi_scalar(2).mean();
    optim.step_with(0.1, model, sparsity, loss).unwrap().0
}

/// A store with checkpoints after one and after two steps, and the fingerprints of both models.
fn saved(folder: &Path) -> (Store, [String; 2]) {
    let store = Store::open(folder).unwrap();
    let (model, mut optim, mut sparsity) = start(8);
    let mut model = sparsity
        .attach(model, |m: &Linear| m.weight.val().sum())
        .unwrap();
    let fingerprints = [1u64, 2].map(|number| {
        model = step(model.clone(), &mut optim, &mut sparsity);
        store.save(&model, &optim, &sparsity, &number).unwrap();
        fingerprint(&model)
    });
    (store, fingerprints)
}

fn load(store: &Store, folder: &Path) -> zosam::Result<(Linear, Optim, u64)> {
    let (model, optim, mut sparsity) = start(8);
    store.load::<_, ZoSamConfig, _, u64>(folder, model, optim, &mut sparsity)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Two thousand damaged checkpoints: each is refused with a typed error or, where the damage did not reach
/// the content, loads what was saved. None panics.
#[test]
fn damage_is_detected() {
    let root = tempfile::tempdir().unwrap();
    let (store, fingerprints) = saved(root.path());
    let whole = store.latest().unwrap().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let damaged = elsewhere.path().join("step-0000000002");
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let names = [
        "model.bpk",
        "optimizer.bpk",
        "masks.bpk",
        "state.cbor",
        "manifest.json",
    ];
    let mut refused = 0;
    for _ in 0..2000 {
        copy(&whole, &damaged);
        let path = damaged.join(names[random.random_range(0..names.len())]);
        let mut content = fs::read(&path).unwrap();
        match random.random_range(0..4) {
            0 => content.truncate(random.random_range(0..content.len())),
            1 => content.push(random.random()),
            2 => {
                let at = random.random_range(0..content.len());
                content[at] ^= 1 << random.random_range(0..8);
            }
            _ => {
                let at = random.random_range(0..content.len());
                content[at] = random.random();
            }
        }
        fs::write(&path, content).unwrap();
        match load(&store, &damaged) {
            Ok((model, optim, progress)) => {
                assert_eq!(fingerprint(&model), fingerprints[1], "{}", path.display());
                assert_eq!((optim.steps(), progress), (2, 2));
            }
            Err(error) => {
                assert!(matches!(error, Error::File { .. }), "{error}");
                refused += 1;
            }
        }
    }
    // A random byte may be the old one, and white space after the manifest is harmless.
    assert!(refused > 1900, "{refused}");
}

#[test]
fn the_newest_whole_checkpoint_is_used() {
    let root = tempfile::tempdir().unwrap();
    let (store, fingerprints) = saved(root.path());
    let newest = store.latest().unwrap().unwrap();
    fs::write(newest.join("model.bpk"), b"gone").unwrap();
    let older = store.latest().unwrap().unwrap();
    assert_ne!(newest, older);
    let (model, optim, progress) = load(&store, &older).unwrap();
    assert_eq!(
        (fingerprint(&model), optim.steps(), progress),
        (fingerprints[0].clone(), 1, 1)
    );
    // With no whole one left, silence would restart the run from nothing.
    fs::remove_file(older.join("manifest.json")).unwrap();
    assert!(matches!(store.latest(), Err(Error::File { path, .. }) if path.starts_with(&newest)));
}

/// A name without a folder is a file of the current one, and others may read what is written, unless
/// the umask says no.
#[cfg(unix)]
#[test]
fn files_are_like_any_other() {
    use std::os::unix::fs::PermissionsExt;

    let root = tempfile::tempdir().unwrap();
    let plain = root.path().join("plain");
    fs::write(&plain, "").unwrap();
    fs::create_dir(root.path().join("folder")).unwrap();
    let mode = |name: &Path| {
        fs::metadata(root.path().join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    // All other tests of this file name their files in full.
    std::env::set_current_dir(root.path()).unwrap();
    let bare = Path::new("bare");
    write_atomically(bare, b"whole").unwrap();
    claim(Path::new("config.json"), &ZoSamConfig::new()).unwrap();
    claim(Path::new("config.json"), &ZoSamConfig::new()).unwrap();
    let (model, ..) = start(8);
    save_model("model.safetensors", &model, &Masks::dense()).unwrap();
    load_model("model.safetensors", model).unwrap();
    let layer = LinearConfig::new(3, 2).init(&Device::flex());
    let sample = Tensor::<2>::ones([1, 3], &Device::flex());
    let network = SparseNetwork::compile(&layer, sample, |layer: &Linear, x| layer.forward(x));
    let network = network.unwrap();
    network.save("network.safetensors").unwrap();
    network.save_onnx("network.onnx").unwrap();
    for name in [
        "bare",
        "config.json",
        "model.safetensors",
        "network.safetensors",
        "network.onnx",
    ] {
        assert_eq!(mode(Path::new(name)), mode(&plain), "{name}");
    }
    let (store, _) = saved(Path::new("run"));
    let folder = store.latest().unwrap().unwrap();
    assert_eq!(mode(&folder), mode(Path::new("folder")));
    assert_eq!(mode(&folder.join("model.bpk")), mode(&plain));
}

/// A process that saves, for as long as it lives, next to one that opens the same folder.
#[test]
fn what_a_living_process_writes_is_not_a_leftover() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = saved(root.path());
    let done = std::sync::atomic::AtomicBool::new(false);
    let (model, optim, mut sparsity) = start(8);
    let newest = store.latest().unwrap().unwrap();
    let (model, optim, _) = store
        .load::<_, _, _, u64>(&newest, model, optim, &mut sparsity)
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                Store::open(root.path()).unwrap();
            }
        });
        for again in 0..200u64 {
            store.save(&model, &optim, &sparsity, &again).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let leftovers = fs::read_dir(root.path()).unwrap();
    assert_eq!(leftovers.count(), 2);
}

/// Two runs that save the same steps into one folder: each finds what it saved.
#[test]
fn checkpoints_of_another_process_stay() {
    let root = tempfile::tempdir().unwrap();
    let stores = [0, 1].map(|_| Store::open(root.path()).unwrap());
    let (model, mut optim, mut sparsity) = start(8);
    let model = sparsity
        .attach(model, |m: &Linear| m.weight.val().sum())
        .unwrap();
    let model = step(model, &mut optim, &mut sparsity);
    let mut folders = Vec::new();
    for round in 0..3u64 {
        folders = stores
            .iter()
            .zip([10, 20])
            .map(|(store, of)| {
                store
                    .save(&model, &optim, &sparsity, &(of + round))
                    .unwrap()
            })
            .collect();
    }
    for (folder, expected) in folders.iter().zip([12, 22]) {
        assert_eq!(load(&stores[0], folder).unwrap().2, expected);
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
}

/// A run whose loss is not a number any more is saved and goes on like any other, to the bit.
#[test]
fn what_is_not_finite_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    let (model, mut optim, mut sparsity) = start(8);
    let model = sparsity
        .attach(model, |m: &Linear| m.weight.val().sum())
        .unwrap();
    let model = step(model, &mut optim, &mut sparsity);
    let progress = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.1];
    let folder = store.save(&model, &optim, &sparsity, &progress).unwrap();
    let (model, optim, mut sparsity) = start(8);
    let (_, _, found) = store
        .load::<_, _, _, [f64; 5]>(&folder, model, optim, &mut sparsity)
        .unwrap();
    assert_eq!(found.map(f64::to_bits), progress.map(f64::to_bits));
}

/// The last file that is read does not fit: the method is as it was, without masks.
#[test]
fn a_memory_that_does_not_fit_changes_nothing() {
    let start = |inputs| {
        let device = Device::flex().autodiff();
        let model = LinearConfig::new(inputs, 4).init(&device);
        let optim = LookSamConfig::new().init(AdamWConfig::new().build());
        (
            model,
            optim.unwrap(),
            Sparsity::new(RigL::new(0.5).until(100)),
        )
    };
    let saved = |inputs: usize, root: &Path| {
        let (model, mut optim, mut sparsity) = start(inputs);
        let batch = Tensor::<2>::ones([4, inputs], &Device::flex().autodiff());
        let loss = |model: &Linear| model.forward(batch.clone()).powi_scalar(2).mean();
        let model = sparsity.attach(model, loss).unwrap();
        let (model, _) = optim.step_with(0.1, model, &mut sparsity, loss).unwrap();
        let store = Store::open(root).unwrap();
        let folder = store.save(&model, &optim, &sparsity, &0u64).unwrap();
        (store, folder)
    };
    let roots = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let (store, folder) = saved(8, roots[0].path());
    let (_, other) = saved(9, roots[1].path());
    // The memory of another model, and a manifest that vouches for it.
    let [own, others] = [&folder, &other].map(|folder| {
        let text = fs::read_to_string(folder.join("manifest.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    });
    let mut manifest = own;
    manifest["files"]["memory.bpk"] = others["files"]["memory.bpk"].clone();
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    fs::copy(other.join("memory.bpk"), folder.join("memory.bpk")).unwrap();

    let (model, optim, mut sparsity) = start(8);
    let error = store.load::<_, _, _, u64>(&folder, model, optim, &mut sparsity);
    assert!(matches!(error, Err(Error::Mismatch { .. })));
    assert!(sparsity.masks().is_dense());
    let (model, mut optim, _) = start(8);
    let batch = Tensor::<2>::ones([4, 8], &Device::flex().autodiff());
    let loss = |model: &Linear| model.forward(batch.clone()).powi_scalar(2).mean();
    let error = optim.step_with(0.1, model, &mut sparsity, loss);
    assert!(error.is_err_and(|error| error.to_string().contains("call `attach`")));
}

#[test]
fn nothing_saved_is_none_and_leftovers_are_cleared() {
    let root = tempfile::tempdir().unwrap();
    let leftover: PathBuf = root.path().join(".partial-abc");
    fs::create_dir_all(leftover.join("deep")).unwrap();
    // With the lock of a process that is gone, and a lock alone.
    let locked: PathBuf = root.path().join(".partial-def");
    fs::create_dir(&locked).unwrap();
    fs::write(root.path().join(".partial-def.lock"), "").unwrap();
    fs::write(root.path().join(".partial-ghi.lock"), "").unwrap();
    let store = Store::open(root.path()).unwrap();
    assert!(!leftover.exists());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    assert_eq!(store.latest().unwrap(), None);
}

#[test]
fn saving_a_step_again_replaces_it() {
    let root = tempfile::tempdir().unwrap();
    let (store, fingerprints) = saved(root.path());
    let mut folder = store.latest().unwrap().unwrap();
    for again in 7..20u64 {
        let (model, optim, mut sparsity) = start(8);
        let (model, optim, _) = store
            .load::<_, _, _, u64>(&folder, model, optim, &mut sparsity)
            .unwrap();
        let newer = store.save(&model, &optim, &sparsity, &again).unwrap();
        assert!(!folder.exists() && newer.exists());
        folder = store.latest().unwrap().unwrap();
        assert_eq!(folder, newer);
        let (model, _, progress) = load(&store, &folder).unwrap();
        assert_eq!(
            (fingerprint(&model), progress),
            (fingerprints[1].clone(), again)
        );
    }
    // One folder a step, whatever the number of saves.
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
}

/// A save of a step that was saved before may be cut off after the new folder is there and before the old one is
/// gone: the newer counts, and if it is damaged the older is still to be had.
#[test]
fn a_repeated_save_never_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = saved(root.path());
    let old = store.latest().unwrap().unwrap();
    let kept = tempfile::tempdir().unwrap();
    copy(&old, kept.path());
    let (model, optim, mut sparsity) = start(8);
    let (model, optim, _) = store
        .load::<_, _, _, u64>(&old, model, optim, &mut sparsity)
        .unwrap();
    let new = store.save(&model, &optim, &sparsity, &9u64).unwrap();
    copy(kept.path(), &old);
    assert_eq!(store.latest().unwrap(), Some(new.clone()));
    fs::write(new.join("masks.bpk"), b"cut off").unwrap();
    assert_eq!(store.latest().unwrap(), Some(old));
}

/// A checkpoint of something else is refused, and the model that was passed in keeps its values.
#[test]
fn what_does_not_fit_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = saved(root.path());
    let folder = store.latest().unwrap().unwrap();

    let (model, optim, mut sparsity) = start(9);
    let before = fingerprint(&model);
    let result = store.load::<_, _, _, u64>(&folder, model.clone(), optim, &mut sparsity);
    assert!(
        matches!(result, Err(Error::Mismatch { .. })),
        "another model"
    );
    assert_eq!(fingerprint(&model), before);

    let (model, optim, _) = start(8);
    let mut other = Sparsity::new(RandomStatic::new(0.5));
    let result = store.load::<_, _, _, u64>(&folder, model, optim, &mut other);
    assert!(
        matches!(result, Err(Error::Mismatch { .. })),
        "another method"
    );

    let (model, _, mut sparsity) = start(8);
    let momentum = MomentumConfig::new();
    let sgd = SgdConfig::new().with_momentum(Some(momentum)).build();
    let optim = ZoSamConfig::new().init(sgd).unwrap();
    let result = store.load::<_, _, _, u64>(&folder, model, optim, &mut sparsity);
    assert!(
        matches!(result, Err(Error::Mismatch { .. })),
        "another optimizer"
    );

    let (model, optim, mut sparsity) = start(8);
    let result = store.load::<_, _, _, Vec<String>>(&folder, model, optim, &mut sparsity);
    assert!(
        matches!(result, Err(Error::File { .. })),
        "another progress"
    );
}

#[test]
fn a_run_folder_belongs_to_one_configuration() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("config.json");
    let config = ZoSamConfig::new().with_rho(0.1);
    claim(&path, &config).unwrap();
    claim(&path, &config).unwrap();
    match claim(&path, &config.with_rho(0.2)) {
        Err(Error::ConfigChanged {
            field,
            given,
            saved,
        }) => {
            assert_eq!(
                (field.as_str(), given.as_str(), saved.as_str()),
                ("rho", "0.2", "0.1")
            );
        }
        other => panic!("{other:?}"),
    }
}

/// What the system or burn said is the source, and not in the message too: a chain says each once.
#[test]
fn causes_are_sources() {
    use std::error::Error as _;
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "no folder").unwrap();
    let error = Store::open(&file).unwrap_err();
    let source = error.source().expect("a cause");
    assert!(source.downcast_ref::<std::io::Error>().is_some());
    assert!(error.to_string().ends_with("cannot be prepared"), "{error}");
    assert!(!error.to_string().contains(&source.to_string()), "{error}");

    let (model, _, mut sparsity) = start(8);
    let model = sparsity
        .attach(model, |model: &Linear| model.weight.val().sum())
        .unwrap();
    let mut parts = sparsity.to_parts().unwrap();
    parts.masks = burn::tensor::Bytes::from_bytes_vec(vec![7; 40]);
    let error = sparsity.load_parts(&model, parts).unwrap_err();
    assert!(matches!(error, Error::Record { .. }), "{error:?}");
    let source = error.source().expect("a cause");
    assert!(source.downcast_ref::<burn::store::RecordError>().is_some());
    assert!(!error.to_string().contains(&source.to_string()), "{error}");
}
