//! Batches of a folder: threads, resumption, damaged files, sizes.

use std::fs;
use std::path::Path;

use zosam::data::{
    Augmentation, Batch, CorruptImages, ImageFolder, ImageSource, Images, Loader, LoaderConfig,
    Picture, ResizedCrop, Sizing, Transform,
};
use zosam::{Error, Result};

use super::{open, twelve};

fn config(workers: usize, corrupt_images: CorruptImages) -> LoaderConfig {
    LoaderConfig {
        batch_size: 5,
        seed: 3,
        workers,
        corrupt_images,
        ..LoaderConfig::default()
    }
}

fn batches(folder: &Path, config: LoaderConfig, first: usize) -> Vec<Result<Batch>> {
    let loader = Loader::new(open(folder), config).unwrap();
    loader.epoch(1, first).collect()
}

fn good(batches: Vec<Result<Batch>>) -> Vec<Batch> {
    batches.into_iter().map(Result::unwrap).collect()
}

#[test]
fn threads_and_resumption_change_nothing() {
    let folder = twelve();
    fs::write(folder.path().join("bee/04.png"), "damaged").unwrap();
    let config = |workers| config(workers, CorruptImages::Skip);
    let all = good(batches(folder.path(), config(0), 0));
    assert_eq!(all.len(), 3);
    for workers in [1, 3] {
        for first in 0..=3 {
            assert_eq!(
                good(batches(folder.path(), config(workers), first)),
                all[first..]
            );
        }
    }
}

/// A folder's batches are those of the same images in memory.
#[test]
fn disk_and_memory_agree() {
    let folder = twelve();
    let images = open(folder.path());
    let pictures = (0..12).map(|index| images.picture(index).unwrap());
    let pixels = pictures
        .flat_map(|picture| picture.pixels().to_vec())
        .collect();
    let labels = (0..12).map(|index| images.label(index) as u32).collect();
    let memory = Images::new("memory", pixels, labels, [3, 8, 8], 3).unwrap();
    let memory = Loader::new(memory, config(2, CorruptImages::Stop)).unwrap();
    let disk = good(batches(folder.path(), config(2, CorruptImages::Stop), 0));
    assert_eq!(good(memory.epoch(1, 0).collect()), disk);
}

#[test]
fn a_damaged_image_stops_or_is_left_out_and_counted() {
    let folder = twelve();
    for name in ["bee/04.png", "cat/11.jpg"] {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(path, &bytes[..bytes.len() - 30]).unwrap();
    }
    for workers in [0, 2] {
        let stopped = batches(folder.path(), config(workers, CorruptImages::Stop), 0);
        let errors: Vec<_> = stopped
            .iter()
            .filter_map(|batch| batch.as_ref().err())
            .collect();
        assert!((1..=2).contains(&errors.len()) && stopped.len() == 3);
        for error in errors {
            assert!(matches!(error, Error::File { .. }), "{error:?}");
            assert!(error.to_string().contains("expected a whole"), "{error}");
        }
        let loader =
            Loader::new(open(folder.path()), config(workers, CorruptImages::Skip)).unwrap();
        for epoch in 0..3 {
            let batches = good(loader.epoch(epoch, 0).collect());
            let mut shown: Vec<usize> = Vec::new();
            for batch in batches {
                assert_eq!(batch.shape, [batch.indices.len(), 3, 8, 8]);
                assert_eq!(batch.images.len(), batch.indices.len() * 192);
                assert_eq!(batch.labels.len(), batch.indices.len());
                shown.extend(batch.indices);
            }
            shown.sort();
            assert_eq!(shown, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]);
        }
        let skipped: Vec<_> = loader.skipped();
        assert_eq!(skipped, [5, 11]);
    }
}

#[test]
fn a_batch_without_images_is_an_error() {
    let folder = twelve();
    for entry in fs::read_dir(folder.path().join("ant")).unwrap() {
        fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    let config = LoaderConfig {
        batch_size: 4,
        corrupt_images: CorruptImages::Skip,
        ..LoaderConfig::evaluation()
    };
    let found = batches(folder.path(), config, 0);
    let error = found[0].as_ref().unwrap_err().to_string();
    assert!(
        error.starts_with("batch = 0, none of whose 4 images"),
        "{error}"
    );
    assert!(found[1].is_ok() && found[2].is_ok());
}

#[test]
fn images_of_all_sizes_reach_a_random_crop_whole() {
    let folder = twelve();
    super::save(folder.path(), "cat/tall.png", 40, [7, 90]);
    super::save(folder.path(), "cat/dot.png", 41, [1, 1]);
    let images = ImageFolder::open(folder.path(), super::square(8)).unwrap();
    let images = images.with_sizing(Sizing::Original).unwrap();
    assert_eq!(images.size(), None);
    let plain = LoaderConfig {
        augmentation: Augmentation::none(),
        ..config(2, CorruptImages::Stop)
    };
    let error = Loader::new(images.clone(), plain.clone())
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("images.size = different"), "{error}");
    let crop = ResizedCrop {
        size: Some([6, 9]),
        ..ResizedCrop::default()
    };
    let cropped = LoaderConfig {
        transforms: vec![Transform::ResizedCrop(crop)],
        repeats: 3,
        ..plain
    };
    let loader = Loader::new(images, cropped).unwrap();
    assert_eq!(loader.shape(), [3, 6, 9]);
    for batch in good(loader.epoch(0, 0).collect()) {
        assert_eq!(batch.shape[1..], [3, 6, 9]);
    }
}

/// Says that its images are 4 × 4, and gives one that is not.
#[derive(Debug)]
struct Liar;

impl ImageSource for Liar {
    fn len(&self) -> usize {
        1
    }
    fn classes(&self) -> usize {
        1
    }
    fn label(&self, _: usize) -> usize {
        0
    }
    fn channels(&self) -> usize {
        1
    }
    fn size(&self) -> Option<[usize; 2]> {
        Some([4, 4])
    }
    fn picture(&self, _: usize) -> Result<Picture> {
        Picture::new(vec![0; 20], [1, 4, 5])
    }
}

#[test]
fn a_source_that_breaks_its_word_is_an_error() {
    let loader = Loader::new(Liar, LoaderConfig::evaluation()).unwrap();
    let error = loader.epoch(0, 0).next().unwrap().unwrap_err().to_string();
    assert!(
        error.starts_with("picture = [1, 4, 5] of image 0"),
        "{error}"
    );
}
