//! CIFAR-10 and CIFAR-100, binary versions.

use std::fs;
use std::path::Path;

use super::Images;
use super::images::invalid_label;
use crate::error::{Error, Result};

const SHAPE: [usize; 3] = [3, 32, 32];
/// The red, green and blue planes.
const PIXELS: usize = 3 * 32 * 32;

/// One of the two sets.
struct Format {
    name: &'static str,
    folder: &'static str,
    /// Bytes before the pixels; the last of them is the label that counts.
    labels: usize,
    classes: usize,
    train: &'static [&'static str],
    test: &'static [&'static str],
    expected: &'static str,
}

const CIFAR10: Format = Format {
    name: "cifar10",
    folder: "cifar-10-batches-bin",
    labels: 1,
    classes: 10,
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: &["test_batch.bin"],
    expected: "a file of CIFAR-10's binary version (cifar-10-binary.tar.gz): \
        records of 3073 bytes, 1 label and 3072 pixels",
};

const CIFAR100: Format = Format {
    name: "cifar100",
    folder: "cifar-100-binary",
    labels: 2,
    classes: 100,
    train: &["train.bin"],
    test: &["test.bin"],
    expected: "a file of CIFAR-100's binary version (cifar-100-binary.tar.gz): \
        records of 3074 bytes, a coarse label, a fine label and 3072 pixels",
};

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
    CIFAR10.read(folder.as_ref())
}

/// Reads the training and the test set of CIFAR-100: RGB images `[3, 32, 32]` with their fine labels, 100 classes.
///
/// `folder` holds `train.bin` and `test.bin` of the official binary version, or the folder `cifar-100-binary` that does.
///
/// # Errors
///
/// As [`cifar10`].
pub fn cifar100(folder: impl AsRef<Path>) -> Result<(Images, Images)> {
    CIFAR100.read(folder.as_ref())
}

impl Format {
    fn read(&self, folder: &Path) -> Result<(Images, Images)> {
        if !folder.is_dir() {
            let reason = format!("not a folder; expected the one that holds {}", self.folder);
            return Err(Error::file(folder, reason));
        }
        let nested = folder.join(self.folder);
        let folder = if nested.is_dir() { &nested } else { folder };
        let train = self.part("train", folder, self.train)?;
        let test = self.part("test", folder, self.test)?;
        Ok((train, test))
    }

    fn part(&self, part: &str, folder: &Path, files: &[&str]) -> Result<Images> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for file in files {
            self.append(&folder.join(file), &mut pixels, &mut labels)?;
        }
        let name = format!("{} {part}", self.name);
        Images::new(&name, pixels, labels, SHAPE, self.classes)
    }

    fn append(&self, path: &Path, pixels: &mut Vec<u8>, labels: &mut Vec<u32>) -> Result<()> {
        let expected = self.expected;
        let bytes = fs::read(path).map_err(|error| {
            Error::file(path, format!("cannot be read; expected {expected}")).caused_by(error)
        })?;
        let size = self.labels + PIXELS;
        if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
            let found = bytes.len();
            let reason =
                format!("{found} bytes are not one or more whole records; expected {expected}");
            return Err(Error::file(path, reason));
        }
        let first = labels.len();
        let records = || bytes.chunks_exact(size);
        labels.extend(records().map(|record| u32::from(record[self.labels - 1])));
        if let Some((record, label)) = invalid_label(&labels[first..], self.classes) {
            let last = self.classes - 1;
            let reason = format!(
                "record {record} has label {label}, not one from 0 to {last}; expected {expected}"
            );
            return Err(Error::file(path, reason));
        }
        pixels.reserve(bytes.len());
        for record in records() {
            pixels.extend_from_slice(&record[self.labels..]);
        }
        Ok(())
    }
}
