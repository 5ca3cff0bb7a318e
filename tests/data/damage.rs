//! Damaged files give an image set or a typed error, never a panic.

use std::fs;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tempfile::tempdir;
use zosam::data::{Images, cifar10, idx_images};
use zosam::{Error, Result};

use super::{cifar_file, gzip, idx_file, pixels, write_cifar};

/// Cuts, flips, inserts or doubles some of the bytes.
fn damage(bytes: &[u8], generator: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..generator.random_range(1..=4) {
        // Half of the time near the start, where the headers are.
        let limit = if generator.random_bool(0.5) {
            24.min(bytes.len())
        } else {
            bytes.len()
        };
        let at = generator.random_range(0..=limit);
        match generator.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, generator.random()),
            2 => bytes.extend_from_within(at..),
            _ if at < bytes.len() => bytes[at] ^= 1 << generator.random_range(0..8),
            _ => {}
        }
    }
    bytes
}

/// Whether the set is good; otherwise checks that the error is about a file, and says what was
/// expected.
fn is_good(outcome: Result<Images>) -> bool {
    match outcome {
        Ok(images) => {
            let size: usize = images.shape().iter().product();
            assert!(images.label(images.len() - 1) < images.classes());
            assert_eq!(images.pixels(images.len() - 1).len(), size);
            true
        }
        Err(error) => {
            assert!(matches!(error, Error::File { .. }), "{error:?}");
            assert!(error.to_string().contains("expected"), "{error}");
            false
        }
    }
}

/// Number of good sets among those read from 1,000 damaged files.
pub fn good_of_1000(bytes: &[u8], seed: u64, read: impl Fn(&[u8]) -> Result<Images>) -> usize {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    assert!(is_good(read(bytes)));
    (0..1000)
        .filter(|_| is_good(read(&damage(bytes, &mut generator))))
        .count()
}

#[test]
fn damaged_cifar_files() {
    let folder = tempdir().unwrap();
    write_cifar(folder.path());
    let good = good_of_1000(&cifar_file(0, 2), 1, |bytes| {
        fs::write(folder.path().join("test_batch.bin"), bytes).unwrap();
        cifar10(folder.path()).map(|(_, test)| test)
    });
    assert!((100..900).contains(&good), "{good}");
}

#[test]
fn damaged_idx_files() {
    let images = idx_file(&[8, 6, 5], &pixels(0, 240));
    let labels = idx_file(&[8], &[0, 1, 2, 3, 4, 5, 6, 9]);
    let good = good_of_1000(&images, 2, |images| {
        idx_images("plain", images, &labels, 10)
    });
    assert!((10..900).contains(&good), "{good}");
    let good = good_of_1000(&labels, 3, |labels| {
        idx_images("plain", &images, labels, 10)
    });
    assert!((10..900).contains(&good), "{good}");
    // The checksum finds nearly all damage; what passes is in parts of gzip's header like the time.
    let good = good_of_1000(&gzip(&images), 4, |images| {
        idx_images("gzip", images, &labels, 10)
    });
    assert!((10..500).contains(&good), "{good}");
}
