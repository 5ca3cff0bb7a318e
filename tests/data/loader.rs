//! The loader: order, reproducibility, threads.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use zosam::data::{Augmentation, Batch, Images, Loader, LoaderConfig, Normalization};

use super::image_set;

const SHAPE: [usize; 3] = [3, 8, 8];

fn config(workers: usize) -> LoaderConfig {
    LoaderConfig {
        batch_size: 7,
        seed: 11,
        workers,
        ..LoaderConfig::default()
    }
}

fn loader(config: LoaderConfig) -> Loader {
    Loader::new(image_set(60, SHAPE), config).unwrap()
}

fn batches(loader: &Loader, epoch: u64, first: usize) -> Vec<Batch> {
    loader
        .epoch(epoch, first)
        .map(|batch| batch.unwrap())
        .collect()
}

fn indices(batches: &[Batch]) -> Vec<usize> {
    batches
        .iter()
        .flat_map(|batch| batch.indices.clone())
        .collect()
}

#[test]
fn the_number_of_workers_changes_nothing() {
    let reference = batches(&loader(config(0)), 3, 0);
    assert_eq!(reference.len(), 9);
    for workers in [1, 2, 5, 64] {
        assert!(
            batches(&loader(config(workers)), 3, 0) == reference,
            "{workers} workers"
        );
    }
}

#[test]
fn an_epoch_can_start_at_any_batch() {
    for workers in [0, 2, 5] {
        let loader = loader(config(workers));
        let whole = batches(&loader, 2, 0);
        for first in 0..=whole.len() {
            assert!(batches(&loader, 2, first) == whole[first..]);
        }
        assert!(loader.epoch(2, usize::MAX).next().is_none());
    }
}

#[test]
fn every_epoch_visits_each_image_once_in_an_order_of_its_own() {
    let loader = loader(config(2));
    let orders: Vec<_> = (0..4)
        .map(|epoch| indices(&batches(&loader, epoch, 0)))
        .collect();
    for (epoch, order) in orders.iter().enumerate() {
        let mut sorted = order.clone();
        sorted.sort();
        assert_eq!(sorted, (0..60).collect::<Vec<_>>());
        assert_ne!(*order, sorted);
        assert!(orders[..epoch].iter().all(|other| other != order));
    }
    let other_seed = LoaderConfig {
        seed: 12,
        ..config(2)
    };
    let other_seed = Loader::new(image_set(60, SHAPE), other_seed).unwrap();
    assert_ne!(indices(&batches(&other_seed, 0, 0)), orders[0]);
}

/// A run saved by one version must be resumed alike by the next.
#[test]
fn the_order_and_the_draws_are_pinned() {
    let first = loader(config(0)).epoch(1, 0).next().unwrap().unwrap();
    assert_eq!(first.indices, [37, 23, 22, 11, 38, 48, 55]);
    let draws = [0, 1, 2].map(|index| Augmentation::default().draw(11, 1, index));
    let draws = draws.map(|draw| (draw.top, draw.left, draw.mirrored));
    assert_eq!(draws, [(4, 8, false), (0, 4, true), (0, 3, true)]);
}

#[test]
fn batches_hold_augmented_and_normalised_pixels() {
    let normalization = Normalization {
        mean: vec![0.5, 0.4, 0.3],
        deviation: vec![0.2, 0.3, 0.25],
    };
    let config = LoaderConfig {
        normalization: Some(normalization.clone()),
        ..config(2)
    };
    let loader = loader(config);
    for batch in batches(&loader, 5, 0) {
        assert_eq!(batch.shape, [batch.indices.len(), 3, 8, 8]);
        for (position, &index) in batch.indices.iter().enumerate() {
            assert_eq!(batch.labels[position], loader.images().label(index) as i64);
            let (mut raw, augmentation) = (Vec::new(), Augmentation::default());
            let draw = augmentation.draw(11, 5, index);
            let picture = loader.images().picture(index).unwrap();
            augmentation.apply(&picture, draw, &mut raw);
            for (at, (raw, value)) in raw.iter().zip(&batch.images[position * 192..]).enumerate() {
                let (mean, deviation) = (&normalization.mean, &normalization.deviation);
                let expected = (f32::from(*raw) / 255.0 - mean[at / 64]) / deviation[at / 64];
                assert_eq!(*value, expected);
            }
        }
    }
}

#[test]
fn evaluation_is_the_set_in_order() {
    let loader = loader(LoaderConfig {
        batch_size: 60,
        ..LoaderConfig::evaluation()
    });
    let batch = &batches(&loader, 9, 0)[0];
    assert_eq!(batch.indices, (0..60).collect::<Vec<_>>());
    let images = image_set(60, SHAPE);
    let expected = (0..60).flat_map(|index| images.pixels(index));
    assert!(
        batch
            .images
            .iter()
            .copied()
            .eq(expected.map(|pixel| f32::from(*pixel) / 255.0))
    );
}

#[test]
fn the_last_batch_is_short_or_dropped() {
    let sizes = |drop_last| {
        let loader = loader(LoaderConfig {
            drop_last,
            ..config(2)
        });
        let epoch = loader.epoch(0, 6);
        assert_eq!(epoch.len(), loader.len() - 6);
        epoch
            .map(|batch| batch.unwrap().labels.len())
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(false), [7, 7, 4]);
    assert_eq!(sizes(true), [7, 7]);
}

#[test]
fn an_empty_set_and_a_huge_batch_are_fine() {
    let empty = Loader::new(image_set(3, SHAPE).take(0), config(2)).unwrap();
    assert!(empty.is_empty() && empty.epoch(0, 0).next().is_none());
    let huge = LoaderConfig {
        batch_size: usize::MAX,
        ..config(2)
    };
    assert_eq!(batches(&loader(huge), 0, 0)[0].labels.len(), 60);
}

#[test]
fn dropping_an_epoch_early_stops_its_threads() {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let images: Images = image_set(1000, [1, 4, 4]);
        for workers in [1, 2, 7] {
            let config = LoaderConfig {
                batch_size: 2,
                ..config(workers)
            };
            let loader = Loader::new(images.clone(), config).unwrap();
            for taken in 0..5 {
                let mut epoch = loader.epoch(0, 0);
                assert_eq!(epoch.by_ref().take(taken).count(), taken);
            }
        }
        sender.send(()).unwrap();
    });
    receiver
        .recv_timeout(Duration::from_secs(20))
        .expect("no deadlock and no panic");
}

#[test]
fn values_out_of_range_are_refused() {
    let message = |config| {
        Loader::new(image_set(1, SHAPE), config)
            .unwrap_err()
            .to_string()
    };
    let normalization = |mean: &[f32], deviation: &[f32]| LoaderConfig {
        normalization: Some(Normalization {
            mean: mean.into(),
            deviation: deviation.into(),
        }),
        ..config(0)
    };
    let padding = Augmentation {
        padding: 9,
        flip: true,
    };
    let cases = [
        (
            LoaderConfig {
                batch_size: 0,
                ..config(0)
            },
            "batch_size = 0",
        ),
        (config(257), "workers = 257"),
        (
            LoaderConfig {
                augmentation: padding,
                ..config(0)
            },
            "augmentation.padding = 9",
        ),
        (
            normalization(&[0.0], &[1.0; 3]),
            "normalization.mean = 1 values for 3 channels",
        ),
        (
            normalization(&[0.0; 3], &[1.0]),
            "normalization.deviation = 1 values",
        ),
        (
            normalization(&[0.0, f32::NAN, 0.0], &[1.0; 3]),
            "normalization.mean = NaN",
        ),
        (
            normalization(&[0.0; 3], &[1.0, 0.0, 1.0]),
            "normalization.deviation = 0",
        ),
    ];
    for (config, expected) in cases {
        let message = message(config);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[cfg(feature = "flex")]
#[test]
fn tensors_hold_what_the_batch_holds() {
    let batch = loader(config(0)).epoch(0, 0).next().unwrap().unwrap();
    let (images, labels) = batch.to_tensors(&burn::tensor::Device::flex());
    assert_eq!(images.dims(), [7, 3, 8, 8]);
    assert_eq!(
        images.into_data().try_to_vec::<f32>().unwrap(),
        batch.images
    );
    let labels = labels.into_data().convert::<i64>();
    assert_eq!(labels.try_to_vec::<i64>().unwrap(), batch.labels);
}
