//! CIFAR-10-C and CIFAR-100-C.

use std::path::Path;

use super::{Corruption, Images, Npy};
use crate::error::{Error, Result};

/// Severities of a file, one after the other.
const SEVERITIES: usize = 5;

/// Reads one corruption at one severity from the folder of CIFAR-10-C (`classes` 10) or CIFAR-100-C (100).
///
/// `folder` holds the files as published (zenodo.org, records 2535967 and 3555552): a file such as `fog.npy` of bytes
/// `[images, height, width, channels]`, of which a fifth belongs to each severity from 1 to 5, and `labels.npy` with a
/// label for each of those images. Only the severity's images, a fifth of the file, are read into memory. The set is named
/// such as `fog 3`.
///
/// # Errors
///
/// [`Error::File`] if a file is missing, damaged, or has another shape, or a label is not below `classes`;
/// [`Error::Config`] if the severity is not 1 to 5 or there are more than 256 classes.
///
/// ```
/// use zosam::data::{Corruption, cifar_c};
/// # fn write(path: std::path::PathBuf, shape: &str, bytes: &[u8]) {
/// #     let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
/// #     let start = [b"\x93NUMPY\x01\x00".to_vec(), (header.len() as u16).to_le_bytes().to_vec()].concat();
/// #     std::fs::write(path, [&start, header.as_bytes(), bytes].concat()).unwrap();
/// # }
/// # let temporary = tempfile::tempdir().unwrap();
/// # let folder = temporary.path();
/// # write(folder.join("fog.npy"), "(10, 32, 32, 3)", &[7; 10 * 3072]);
/// # write(folder.join("labels.npy"), "(10,)", &[4, 2, 4, 2, 4, 2, 4, 2, 4, 2]);
/// let foggy = cifar_c(folder, Corruption::Fog, 3, 10)?;
/// assert_eq!(foggy.shape(), [3, 32, 32]);
/// # assert_eq!((foggy.len(), foggy.label(0), foggy.name()), (2, 4, "fog 3"));
/// # Ok::<(), zosam::Error>(())
/// ```
pub fn cifar_c(
    folder: impl AsRef<Path>,
    corruption: Corruption,
    severity: u8,
    classes: usize,
) -> Result<Images> {
    let level = usize::from(severity);
    if !(1..=SEVERITIES).contains(&level) {
        return Err(config(
            "corruption.severity",
            severity.to_string(),
            "1 to 5",
        ));
    }
    if classes > 256 {
        return Err(config("classes", classes.to_string(), "at most 256"));
    }
    let folder = folder.as_ref();
    let mut images = Npy::open(folder.join(format!("{corruption}.npy")))?;
    let shape = match images.shape() {
        [count, height, width, channels]
            if *count > 0 && count.is_multiple_of(SEVERITIES) && height * width * channels > 0 =>
        {
            [*count, *channels, *height, *width]
        }
        other => {
            let reason = format!(
                "shape {other:?}; expected [images, height, width, channels], a fifth of the images for each severity"
            );
            return Err(images.error(reason));
        }
    };
    let [count, channels, height, width] = shape;
    let mut labels = Npy::open(folder.join("labels.npy"))?;
    if labels.shape() != [count] {
        let reason = format!(
            "shape {:?}; expected [{count}], a label for each image of {corruption}.npy",
            labels.shape()
        );
        return Err(labels.error(reason));
    }
    let part = count / SEVERITIES;
    let places = (level - 1) * part..level * part;
    let found = labels.numbers(places.clone())?;
    let invalid = found
        .iter()
        .position(|label| !(0..classes as i64).contains(label));
    if let Some(place) = invalid {
        let reason = format!(
            "image {} has label {}; expected 0 to {}",
            places.start + place,
            found[place],
            classes.saturating_sub(1)
        );
        return Err(labels.error(reason));
    }
    let found = found.into_iter().map(|label| label as u32).collect();
    let interleaved = images.bytes(places)?;
    let mut pixels = Vec::with_capacity(interleaved.len());
    for image in interleaved.chunks_exact(height * width * channels) {
        for channel in 0..channels {
            pixels.extend(image.iter().skip(channel).step_by(channels));
        }
    }
    let name = format!("{corruption} {severity}");
    Images::new(&name, pixels, found, [channels, height, width], classes)
}

fn config(field: &'static str, value: String, valid: &'static str) -> Error {
    Error::Config {
        field,
        value,
        valid,
    }
}
