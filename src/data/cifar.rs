//! CIFAR-10, binary version.

use std::fs;
use std::path::Path;

use super::Images;
use super::images::invalid_label;
use crate::error::{Error, Result};

const SHAPE: [usize; 3] = [3, 32, 32];
const CLASSES: usize = 10;
/// A label, then the red, green and blue planes.
const RECORD: usize = 1 + 3 * 32 * 32;
const FOLDER: &str = "cifar-10-batches-bin";
const TRAIN: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
const TEST: [&str; 1] = ["test_batch.bin"];
const EXPECTED: &str = "a file of CIFAR-10's binary version (cifar-10-binary.tar.gz): \
    records of 3073 bytes, 1 label and 3072 pixels";

/// Reads the training and the test set of CIFAR-10: RGB images `[3, 32, 32]` in 10 classes.
///
/// `folder` holds the files of the official binary version, `data_batch_1.bin` to `data_batch_5.bin`
/// and `test_batch.bin`, or the folder `cifar-10-batches-bin` that does. Files may have any number of
/// records; the official ones have 10,000.
///
/// # Errors
///
/// [`Error::File`] if a file is missing, empty, not made of whole records, or has a label above 9.
///
/// A file may hold fewer records than the official ones, here one each:
///
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// let names = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"];
/// for (label, name) in names.iter().enumerate() {
///     let record: Vec<u8> = std::iter::once(label as u8).chain([128; 3 * 32 * 32]).collect();
///     std::fs::write(folder.path().join(format!("{name}.bin")), record).unwrap();
/// }
/// let (train, test) = zosam::data::cifar10(folder.path())?;
/// assert_eq!((train.len(), test.len(), test.label(0)), (5, 1, 5));
/// # Ok::<(), zosam::Error>(())
/// ```
pub fn cifar10(folder: impl AsRef<Path>) -> Result<(Images, Images)> {
    let folder = folder.as_ref();
    if !folder.is_dir() {
        let reason = format!("not a folder; expected the one that holds {FOLDER}");
        return Err(Error::file(folder, reason));
    }
    let nested = folder.join(FOLDER);
    let folder = if nested.is_dir() { &nested } else { folder };
    let train = read("cifar10 train", folder, &TRAIN)?;
    let test = read("cifar10 test", folder, &TEST)?;
    Ok((train, test))
}

fn read(name: &str, folder: &Path, files: &[&str]) -> Result<Images> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for file in files {
        append(&folder.join(file), &mut pixels, &mut labels)?;
    }
    Images::new(name, pixels, labels, SHAPE, CLASSES)
}

fn append(path: &Path, pixels: &mut Vec<u8>, labels: &mut Vec<u8>) -> Result<()> {
    let bytes = fs::read(path)
        .map_err(|error| Error::file(path, format!("{error}; expected {EXPECTED}")))?;
    let (records, rest) = bytes.as_chunks::<RECORD>();
    if records.is_empty() || !rest.is_empty() {
        let found = bytes.len();
        let reason =
            format!("{found} bytes are not one or more whole records; expected {EXPECTED}");
        return Err(Error::file(path, reason));
    }
    let first = labels.len();
    labels.extend(records.iter().map(|record| record[0]));
    if let Some((record, label)) = invalid_label(&labels[first..], CLASSES) {
        let reason =
            format!("record {record} has label {label}, not one from 0 to 9; expected {EXPECTED}");
        return Err(Error::file(path, reason));
    }
    pixels.reserve(records.len() * (RECORD - 1));
    for record in records {
        pixels.extend_from_slice(&record[1..]);
    }
    Ok(())
}
