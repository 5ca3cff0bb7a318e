//! MNIST and its family: images and labels in IDX files.

use std::path::{Path, PathBuf};

use super::images::invalid_label;
use super::{Idx, Images};
use crate::error::{Error, Result};

/// Reads the training and the test set of MNIST, Fashion-MNIST or KMNIST: grey images
/// `[1, 28, 28]` in 10 classes.
///
/// `folder` holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
/// `t10k-labels-idx1-ubyte`, each with or without `.gz`.
///
/// # Errors
///
/// [`Error::File`] if a file is missing or truncated, is not what its name says, has a label above
/// 9, or the test images differ in size from the training images.
///
/// ```
/// // Two images of 1 × 1 pixel and their labels, in each of the four files.
/// let folder = tempfile::tempdir().unwrap();
/// for split in ["train", "t10k"] {
///     let write = |kind: &str, bytes: &[u8]| {
///         std::fs::write(folder.path().join(format!("{split}-{kind}-ubyte")), bytes).unwrap();
///     };
///     write("images-idx3", &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 10, 20]);
///     write("labels-idx1", &[0, 0, 8, 1, 0, 0, 0, 2, 7, 9]);
/// }
/// let (train, test) = zosam::data::mnist(folder.path())?;
/// assert_eq!((train.len(), test.pixels(1), test.label(1)), (2, &[20][..], 9));
/// # Ok::<(), zosam::Error>(())
/// ```
pub fn mnist(folder: impl AsRef<Path>) -> Result<(Images, Images)> {
    let read = |split| {
        let file = |kind| find(folder.as_ref(), &format!("{split}-{kind}-ubyte"));
        idx_files(file("images-idx3")?, file("labels-idx1")?, 10)
    };
    let (train, test) = (read("train")?, read("t10k")?);
    if train.shape() != test.shape() {
        return Err(Error::file(
            test.name(),
            format!(
                "images are {:?}; expected {:?}, as for training",
                test.shape(),
                train.shape()
            ),
        ));
    }
    Ok((train, test))
}

/// Reads a set of grey images `[1, height, width]` from a file of images, after which it is named,
/// and a file of labels.
///
/// # Errors
///
/// [`Error::File`] if a file is missing, is not IDX with the right number of dimensions (3 for
/// images, 1 for labels), the two differ in length, or a label is not below `classes`.
pub fn idx_files(
    images: impl AsRef<Path>,
    labels: impl AsRef<Path>,
    classes: usize,
) -> Result<Images> {
    let (images, labels) = (images.as_ref(), labels.as_ref());
    let arrays = (Idx::from_file(images)?, Idx::from_file(labels)?);
    let name = images.display().to_string();
    assemble(&name, [images, labels], arrays, classes)
}

/// Reads a set of grey images `[1, height, width]` from bytes, such as `include_bytes!` gives;
/// `name` stands for the files in messages.
///
/// ```
/// let images = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 50, 60];
/// let labels = [0, 0, 8, 1, 0, 0, 0, 1, 3];
/// let set = zosam::data::idx_images("example", &images, &labels, 10)?;
/// assert_eq!((set.shape(), set.label(0)), ([1, 1, 2], 3));
/// # Ok::<(), zosam::Error>(())
/// ```
///
/// # Errors
///
/// As [`idx_files`].
pub fn idx_images(name: &str, images: &[u8], labels: &[u8], classes: usize) -> Result<Images> {
    let (image_name, label_name) = (format!("{name} images"), format!("{name} labels"));
    let images = Idx::from_bytes(&image_name, images)?;
    let labels = Idx::from_bytes(&label_name, labels)?;
    let paths = [image_name.as_ref(), label_name.as_ref()];
    assemble(name, paths, (images, labels), classes)
}

fn assemble(
    name: &str,
    [image_path, label_path]: [&Path; 2],
    (images, labels): (Idx, Idx),
    classes: usize,
) -> Result<Images> {
    let &[count, height, width] = images.dimensions.as_slice() else {
        let reason = format!(
            "dimensions are {:?}; expected [images, height, width]",
            images.dimensions
        );
        return Err(Error::file(image_path, reason));
    };
    if labels.dimensions != [count] {
        let reason = format!(
            "dimensions are {:?}; expected [{count}], a label per image",
            labels.dimensions
        );
        return Err(Error::file(label_path, reason));
    }
    let labels: Vec<u32> = labels.elements.into_iter().map(u32::from).collect();
    if let Some((index, label)) = invalid_label(&labels, classes) {
        let reason = format!("label {label} at {index}; expected labels below {classes}");
        return Err(Error::file(label_path, reason));
    }
    Images::new(name, images.elements, labels, [1, height, width], classes)
}

/// The file of a name, or else its compressed form.
fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let plain = folder.join(name);
    let compressed = folder.join(format!("{name}.gz"));
    match (plain.is_file(), compressed.is_file()) {
        (true, _) => Ok(plain),
        (false, true) => Ok(compressed),
        (false, false) => {
            let reason = "missing; expected this IDX file, or the same with `.gz`";
            Err(Error::file(plain, reason))
        }
    }
}
