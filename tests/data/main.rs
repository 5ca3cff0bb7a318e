//! Data sets, augmentation and the loader.
#![cfg(feature = "data")]

mod augment;
mod balanced;
mod cifar_c;
#[cfg(feature = "images")]
mod corruption;
mod damage;
mod files;
#[cfg(feature = "images")]
mod image_folder;
mod images;
mod loader;
mod mnist1d;
mod recipes;

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use zosam::data::Images;

const CIFAR_FILES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];

/// Pixel `position` of image `image`: no two images, channels or rows are alike.
fn pixel(image: usize, position: usize) -> u8 {
    ((image * 7919 + position * 31 + position / 1024 * 17) % 251) as u8
}

fn pixels(image: usize, count: usize) -> Vec<u8> {
    (0..count).map(|position| pixel(image, position)).collect()
}

/// A file of CIFAR-10 with `count` records; image `first + i` has label `(first + i) % 10`.
fn cifar_file(first: usize, count: usize) -> Vec<u8> {
    let record = |image: usize| [vec![(image % 10) as u8], pixels(image, 3072)].concat();
    (first..first + count).flat_map(record).collect()
}

/// Writes six files of two records each.
fn write_cifar(folder: &Path) {
    for (number, file) in CIFAR_FILES.iter().enumerate() {
        fs::write(folder.join(file), cifar_file(2 * number, 2)).unwrap();
    }
}

fn idx_file(dimensions: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dimensions.len() as u8];
    file.extend(dimensions.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(elements);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `count` images of the given shape, image `i` with label `i % 10`.
fn image_set(count: usize, shape: [usize; 3]) -> Images {
    let size = shape.iter().product();
    let all = (0..count).flat_map(|image| pixels(image, size)).collect();
    let labels = (0..count).map(|image| (image % 10) as u32).collect();
    Images::new("set", all, labels, shape, 10).unwrap()
}
