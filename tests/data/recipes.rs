//! The loader with everything that DeiT's recipe changes in images and targets.

use std::collections::HashSet;

use proptest::prelude::*;
use zosam::data::{
    Batch, ColorJitter, ErasingMode, Images, Loader, LoaderConfig, Mix, Mixup, RandomErasing,
    Transform,
};

use super::image_set;

const SHAPE: [usize; 3] = [3, 12, 10];

fn config(workers: usize) -> LoaderConfig {
    let deit = LoaderConfig::deit(9);
    let mut transforms = deit.transforms.clone();
    transforms.push(Transform::ColorJitter(ColorJitter::default()));
    LoaderConfig {
        batch_size: 8,
        seed: 5,
        workers,
        transforms,
        ..deit
    }
}

fn images() -> Images {
    image_set(50, SHAPE)
}

fn batches(config: LoaderConfig, epoch: u64, first: usize) -> Vec<Batch> {
    let loader = Loader::new(images(), config).unwrap();
    loader.epoch(epoch, first).map(Result::unwrap).collect()
}

/// Threads make no difference, an epoch goes on in its middle, and epochs and seeds differ.
#[test]
fn batches_depend_on_seed_and_epoch_alone() {
    let all = batches(config(0), 2, 0);
    assert_eq!(all.len(), 7);
    for workers in [1, 3] {
        assert_eq!(batches(config(workers), 2, 0), all);
        assert_eq!(batches(config(workers), 2, 4), all[4..]);
    }
    assert_ne!(batches(config(0), 3, 0)[0].images, all[0].images);
    let other = LoaderConfig {
        seed: 6,
        ..config(0)
    };
    assert_ne!(batches(other, 2, 0)[0].images, all[0].images);
}

/// Three views of an image in a row, no two alike; a third of the images in an epoch.
#[test]
fn repeats_are_augmented_anew() {
    let plain = LoaderConfig {
        mixup: None,
        batch_size: 9,
        ..config(0)
    };
    let batch = &batches(plain.clone(), 0, 0)[0];
    assert_eq!(batch.shape, [9, 3, 9, 9]);
    for views in batch.indices.chunks_exact(3) {
        assert!(views.iter().all(|index| *index == views[0]));
    }
    let pictures = batch.images.chunks_exact(3 * 81);
    let different: HashSet<Vec<u32>> = pictures
        .map(|picture| picture.iter().map(|value| value.to_bits()).collect())
        .collect();
    assert!(different.len() >= 8, "{}", different.len());
    let shown: HashSet<usize> = batches(plain, 0, 0)
        .iter()
        .flat_map(|b| b.indices.clone())
        .collect();
    assert_eq!(shown.len(), 50_usize.div_ceil(3));
}

/// Rows of targets add up to 1, and the middle image of an odd batch keeps its own label.
#[test]
fn targets_are_distributions() {
    for batch in batches(config(0), 1, 0) {
        let targets = batch.targets.unwrap();
        for row in targets.chunks_exact(10) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(row.iter().all(|share| *share >= 0.0099));
        }
    }
    let hard = LoaderConfig {
        mixup: None,
        label_smoothing: 0.0,
        ..config(0)
    };
    assert!(batches(hard, 1, 0)[0].targets.is_none());
}

/// A configuration that was saved before these fields existed means what it meant.
#[test]
fn old_configurations_load() {
    let old = r#"{"batch_size":4,"seed":1,"workers":0,"shuffle":true,
        "augmentation":{"padding":4,"flip":true},"normalization":null,"drop_last":false}"#;
    let old: LoaderConfig = serde_json::from_str(old).unwrap();
    let now = LoaderConfig {
        batch_size: 4,
        seed: 1,
        workers: 0,
        ..LoaderConfig::default()
    };
    assert_eq!(old, now);
    let deit = config(2);
    let json = serde_json::to_string(&deit).unwrap();
    assert_eq!(serde_json::from_str::<LoaderConfig>(&json).unwrap(), deit);
}

/// Over 2,000 draws: λ of Beta(0.8, 0.8) has mean 1/2 and variance 1/10.4, CutMix comes half of the time, and its λ is the share
/// that is left.
#[test]
fn mixing_has_its_distributions() {
    let mixup = Mixup::default();
    let draws: Vec<Mix> = (0..4000)
        .map(|batch| mixup.draw(1, 0, batch, [32, 32]))
        .collect();
    let lambdas: Vec<f64> = draws
        .iter()
        .filter_map(|mix| match mix {
            Mix::Mixup { lambda } => Some(*lambda),
            _ => None,
        })
        .collect();
    let n = lambdas.len() as f64;
    let mean = lambdas.iter().sum::<f64>() / n;
    let variance = lambdas.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / n;
    // Five standard errors of 2,000 draws.
    assert!((n / 4000.0 - 0.5).abs() < 0.04, "{n}");
    assert!((mean - 0.5).abs() < 0.035, "{mean}");
    assert!((variance - 0.25 / 2.6).abs() < 0.01, "{variance}");
    for mix in draws {
        if let Mix::CutMix { part, lambda } = mix {
            let share = (part.height * part.width) as f64 / 1024.0;
            assert!((1.0 - share - lambda).abs() < 1e-12);
        }
    }
}

/// A quarter of the images is changed, by at most a third of their pixels; `Const` writes zeros.
#[test]
fn erasing_has_its_share() {
    let erasing = RandomErasing {
        mode: ErasingMode::Const,
        ..RandomErasing::default()
    };
    let only = LoaderConfig {
        erasing: Some(erasing),
        batch_size: 50,
        ..LoaderConfig::evaluation()
    };
    let untouched = &batches(
        LoaderConfig {
            erasing: None,
            ..only.clone()
        },
        0,
        0,
    )[0];
    let (mut changed, mut all) = (0, 0);
    for epoch in 0..40 {
        let batch = &batches(only.clone(), epoch, 0)[0];
        let size = SHAPE.iter().product();
        let pairs = batch
            .images
            .chunks_exact(size)
            .zip(untouched.images.chunks_exact(size));
        for (image, whole) in pairs {
            let other = image.iter().zip(whole).filter(|(a, b)| a != b);
            let count = other.inspect(|(a, _)| assert_eq!(**a, 0.0)).count();
            // Sides are rounded, and a pixel that was 0 does not count as changed.
            assert!(count <= size / 2, "{count} of {size}");
            changed += u32::from(count > 0);
            all += 1;
        }
    }
    let share = f64::from(changed) / f64::from(all);
    // Five standard errors of 2,000 images.
    assert!((share - 0.25).abs() < 0.05, "{share}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a user writes into a recipe is an error or gives images of the promised size.
    #[test]
    fn nothing_panics(
        size in prop::option::of(prop::array::uniform2(0usize..40)),
        probability in -0.5f64..1.5,
        alphas in prop::array::uniform2(prop_oneof![Just(0.0), Just(f64::NAN), -1.0f64..3.0]),
        smoothing in -0.2f64..1.2,
        repeats in 0usize..5,
        batch_size in 0usize..9,
        shape in prop::array::uniform2(1usize..9),
    ) {
        let mut config = LoaderConfig { batch_size, repeats, workers: 0, ..LoaderConfig::deit(8) };
        if let Some(Transform::ResizedCrop(crop)) = config.transforms.first_mut() {
            crop.size = size;
        }
        config.erasing = Some(RandomErasing { probability, ..RandomErasing::default() });
        config.mixup = Some(Mixup {
            mixup_alpha: alphas[0],
            cutmix_alpha: alphas[1],
            ..Mixup::default()
        });
        config.label_smoothing = smoothing;
        let images = image_set(11, [3, shape[0], shape[1]]);
        if let Ok(loader) = Loader::new(images, config) {
            let [height, width] = size.unwrap_or(shape);
            for batch in loader.epoch(0, 0) {
                let batch = batch.unwrap();
                prop_assert_eq!(&batch.shape[1..], [3, height, width]);
                prop_assert_eq!(batch.images.len(), batch.shape.iter().product::<usize>());
                prop_assert!(batch.images.iter().all(|value| value.is_finite()));
            }
        }
    }
}
