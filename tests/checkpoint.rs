//! Checkpoints: whole or refused.
#![cfg(feature = "flex")]

use std::fs;
use std::path::{Path, PathBuf};

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, SgdConfig, momentum::MomentumConfig};
use burn::tensor::{Device, Tensor};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use zosam::checkpoint::{Store, claim, fingerprint};
use zosam::perturb::ZeroOrder;
use zosam::sparse::RandomStatic;
use zosam::{Error, RigL, Sparsity, ZoSam, ZoSamConfig};

type Optim = ZoSam<burn::optim::AdamW>;

fn start(inputs: usize) -> (Linear, Optim, Sparsity) {
    let device = Device::flex().autodiff();
    let model = LinearConfig::new(inputs, 4).init(&device);
    let optim = ZoSamConfig::new().init(AdamWConfig::new().build()).unwrap();
    (model, optim, Sparsity::new(RigL::new(0.5, 100)))
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
    store.load::<_, ZeroOrder, _, u64>(folder, model, optim, &mut sparsity)
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
        "state.json",
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

#[test]
fn nothing_saved_is_none_and_leftovers_are_cleared() {
    let root = tempfile::tempdir().unwrap();
    let leftover: PathBuf = root.path().join(".partial-abc");
    fs::create_dir_all(leftover.join("deep")).unwrap();
    let store = Store::open(root.path()).unwrap();
    assert!(!leftover.exists());
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
