//! CIFAR-10-C's files.

use std::fs;
use std::path::Path;

use tempfile::tempdir;
use zosam::data::{Corruption, Npy, cifar_c};
use zosam::{Error, Result};

use super::damage::good_of_1000;
use super::pixel;

/// A file as numpy writes it: the header padded to a multiple of 64.
fn npy(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), bytes].concat()
}

/// Ten images of 2 × 3 pixels: two for each severity.
fn images() -> Vec<u8> {
    let bytes: Vec<u8> = (0..10)
        .flat_map(|image| (0..18).map(move |place| pixel(image, place)))
        .collect();
    npy("|u1", "(10, 2, 3, 3)", &bytes)
}

fn labels() -> Vec<u8> {
    npy("|u1", "(10,)", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
}

fn write(folder: &Path, images: &[u8], labels: &[u8]) {
    fs::write(folder.join("fog.npy"), images).unwrap();
    fs::write(folder.join("labels.npy"), labels).unwrap();
}

#[test]
fn a_severity_is_a_fifth_of_the_file() {
    let folder = tempdir().unwrap();
    write(folder.path(), &images(), &labels());
    for severity in 1..=5 {
        let set = cifar_c(folder.path(), Corruption::Fog, severity, 10).unwrap();
        assert_eq!((set.len(), set.shape(), set.classes()), (2, [3, 2, 3], 10));
        assert_eq!(set.name(), format!("fog {severity}"));
        for index in 0..2 {
            let image = 2 * (usize::from(severity) - 1) + index;
            assert_eq!(set.label(index), image);
            // Channels are last in the file and first in the set.
            let at = |place: usize| pixel(image, place % 6 * 3 + place / 6);
            assert_eq!(set.pixels(index), (0..18).map(at).collect::<Vec<u8>>());
        }
    }
}

#[test]
fn labels_may_be_long_integers() {
    let folder = tempdir().unwrap();
    let long: Vec<u8> = (0..10_i64).flat_map(i64::to_le_bytes).collect();
    write(folder.path(), &images(), &npy("<i8", "(10,)", &long));
    let set = cifar_c(folder.path(), Corruption::Fog, 5, 10).unwrap();
    assert_eq!((set.label(0), set.label(1)), (8, 9));
}

#[test]
fn errors_name_the_file_and_what_is_wrong() {
    let folder = tempdir().unwrap();
    let short = &images()[..200];
    for (images, labels, file, words) in [
        (
            npy("|u1", "(9, 2, 3, 3)", &[0; 162]),
            labels(),
            "fog.npy",
            "[9, 2, 3, 3]",
        ),
        (
            npy("|u1", "(180,)", &[0; 180]),
            labels(),
            "fog.npy",
            "[180]",
        ),
        (
            npy("<f4", "(10, 2, 3, 3)", &[0; 720]),
            labels(),
            "fog.npy",
            "uint8",
        ),
        (
            npy("<i4", "(10, 2, 3, 3)", &[0; 720]),
            labels(),
            "fog.npy",
            "uint8",
        ),
        (
            b"PK\x03\x04 something".to_vec(),
            labels(),
            "fog.npy",
            ".npy",
        ),
        (short.to_vec(), labels(), "fog.npy", "[10, 2, 3, 3]"),
        (images(), npy("|u1", "(9,)", &[0; 9]), "labels.npy", "[9]"),
        (
            images(),
            npy("|u1", "(10,)", &[0, 0, 0, 0, 10, 0, 0, 0, 0, 0]),
            "labels.npy",
            "label 10",
        ),
    ] {
        write(folder.path(), &images, &labels);
        let error = cifar_c(folder.path(), Corruption::Fog, 3, 10).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(file) && text.contains(words), "{text}");
    }
    let missing = cifar_c(folder.path(), Corruption::Snow, 3, 10).unwrap_err();
    assert!(missing.to_string().contains("snow.npy"), "{missing}");
    let severity = cifar_c(folder.path(), Corruption::Fog, 6, 10).unwrap_err();
    assert!(matches!(severity, Error::Config { .. }), "{severity}");
}

#[test]
fn damaged_files() {
    let folder = tempdir().unwrap();
    write(folder.path(), &images(), &labels());
    let read = || cifar_c(folder.path(), Corruption::Fog, 2, 10);
    let good = good_of_1000(&images(), 5, |bytes| {
        fs::write(folder.path().join("fog.npy"), bytes).unwrap();
        read()
    });
    assert!((10..900).contains(&good), "{good}");
    write(folder.path(), &images(), &labels());
    let good = good_of_1000(&labels(), 6, |bytes| {
        fs::write(folder.path().join("labels.npy"), bytes).unwrap();
        read()
    });
    assert!((10..900).contains(&good), "{good}");
}

#[test]
fn places_that_are_not_there() -> Result<()> {
    let folder = tempdir().unwrap();
    write(folder.path(), &images(), &labels());
    let mut array = Npy::open(folder.path().join("labels.npy"))?;
    assert_eq!(array.numbers(2..4)?, [2, 3]);
    assert_eq!(array.bytes(3..3)?, [0_u8; 0]);
    assert!(array.bytes(9..11).is_err());
    #[allow(clippy::reversed_empty_ranges, reason = "the range a user gets wrong")]
    let reversed = array.bytes(4..2);
    assert!(reversed.is_err());
    // Sizes whose product is 0 although that of some of them is too large for a number.
    let huge = 1_u64 << 40;
    let file = npy("|u1", &format!("(0, {huge}, {huge})"), &[]);
    fs::write(folder.path().join("labels.npy"), file).unwrap();
    let mut array = Npy::open(folder.path().join("labels.npy"))?;
    assert_eq!(array.bytes(0..0)?, [0_u8; 0]);
    Ok(())
}
