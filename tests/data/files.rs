//! Reading CIFAR-10 and IDX files, and what is said about those that are not right.

use std::fs;
use std::path::Path;

use tempfile::tempdir;
use zosam::data::{Idx, cifar10, idx_images, mnist};

use super::{CIFAR_FILES, cifar_file, gzip, idx_file, pixels, write_cifar};

const MNIST_FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

#[test]
fn cifar_is_read_from_either_folder() {
    let parent = tempdir().unwrap();
    let nested = parent.path().join("cifar-10-batches-bin");
    fs::create_dir(&nested).unwrap();
    write_cifar(&nested);
    for folder in [parent.path(), &nested] {
        let (train, test) = cifar10(folder).unwrap();
        assert_eq!((train.len(), test.len()), (10, 2));
        assert_eq!((train.shape(), train.classes()), ([3, 32, 32], 10));
        for image in 0..10 {
            assert_eq!(train.pixels(image), pixels(image, 3072));
            assert_eq!(train.label(image), image);
        }
        assert_eq!(test.pixels(1), pixels(11, 3072));
        assert_eq!(test.label(1), 1);
    }
}

/// The message about a CIFAR-10 folder of which one file was replaced, or removed.
fn cifar_message(file: &str, content: Option<&[u8]>) -> String {
    let folder = tempdir().unwrap();
    write_cifar(folder.path());
    let path = folder.path().join(file);
    match content {
        Some(content) => fs::write(&path, content).unwrap(),
        None => fs::remove_file(&path).unwrap(),
    }
    let message = cifar10(folder.path()).unwrap_err().to_string();
    assert!(
        message.starts_with(&path.display().to_string()),
        "{message}"
    );
    assert!(
        message.contains("expected a file of CIFAR-10's binary version"),
        "{message}"
    );
    message
}

/// What the system said is the source of the error, for whoever asks.
/// The message is ours; what a decoder said of the bytes is the cause.
#[test]
fn what_a_decoder_said_is_the_cause() {
    use std::error::Error as _;
    // A gzip header, and then a block of the one type that deflate does not have.
    let bytes = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff];
    let error = Idx::from_bytes("labels", &bytes).unwrap_err();
    let source = error.source().expect("the decoder's").to_string();
    assert!(error.to_string().contains("cannot be read"), "{error}");
    assert!(!error.to_string().contains(&source), "{error}: {source}");
}

#[test]
fn a_missing_file_says_why() {
    use std::error::Error as _;
    let folder = tempdir().unwrap();
    write_cifar(folder.path());
    fs::remove_file(folder.path().join("test_batch.bin")).unwrap();
    for error in [
        cifar10(folder.path()).map(drop).unwrap_err(),
        Idx::from_file(folder.path().join("none"))
            .map(drop)
            .unwrap_err(),
    ] {
        let source = error
            .source()
            .and_then(|source| source.downcast_ref::<std::io::Error>());
        assert_eq!(
            source.expect("the system's").kind(),
            std::io::ErrorKind::NotFound
        );
        assert!(
            error.to_string().contains("cannot be read; expected"),
            "{error}"
        );
    }
}

#[test]
fn wrong_cifar_files_are_named() {
    let mut mislabelled = cifar_file(0, 2);
    mislabelled[3073] = 10;
    for file in CIFAR_FILES {
        cifar_message(file, None);
        assert!(
            cifar_message(file, Some(&[])).contains("0 bytes are not one or more whole records")
        );
        let truncated = &cifar_file(0, 2)[..6145];
        assert!(cifar_message(file, Some(truncated)).contains("6145 bytes are not"));
        let message = cifar_message(file, Some(&mislabelled));
        assert!(
            message.contains("record 1 has label 10, not one from 0 to 9"),
            "{message}"
        );
    }
    let missing = cifar10("no/such/folder").unwrap_err().to_string();
    assert!(
        missing.starts_with("no/such/folder: not a folder; expected"),
        "{missing}"
    );
}

/// Writes a data set of three training images and two test images of 4 × 5 pixels.
fn write_mnist(folder: &Path, pack: impl Fn(&[u8]) -> Vec<u8>, suffix: &str) {
    let images = |first, count: usize| {
        let all: Vec<u8> = (first..first + count)
            .flat_map(|image| pixels(image, 20))
            .collect();
        idx_file(&[count as u32, 4, 5], &all)
    };
    let contents = [
        images(0, 3),
        idx_file(&[3], &[9, 0, 4]),
        images(3, 2),
        idx_file(&[2], &[1, 2]),
    ];
    for (file, content) in MNIST_FILES.iter().zip(contents) {
        fs::write(folder.join(format!("{file}{suffix}")), pack(&content)).unwrap();
    }
}

#[test]
fn mnist_is_read_plain_and_compressed_whatever_the_name() {
    type Pack = fn(&[u8]) -> Vec<u8>;
    let cases: [(Pack, &str); 4] = [
        (<[u8]>::to_vec, ""),
        (gzip, ".gz"),
        (gzip, ""),
        (<[u8]>::to_vec, ".gz"),
    ];
    for (pack, suffix) in cases {
        let folder = tempdir().unwrap();
        write_mnist(folder.path(), pack, suffix);
        let (train, test) = mnist(folder.path()).unwrap();
        assert_eq!((train.len(), test.len(), train.shape()), (3, 2, [1, 4, 5]));
        assert_eq!([0, 1, 2].map(|image| train.label(image)), [9, 0, 4]);
        assert_eq!([0, 1].map(|image| test.label(image)), [1, 2]);
        assert_eq!(train.pixels(2), pixels(2, 20));
        assert_eq!(test.pixels(0), pixels(3, 20));
    }
}

/// The message about an MNIST folder of which one file was replaced.
fn mnist_message(file: &str, content: &[u8]) -> String {
    let folder = tempdir().unwrap();
    write_mnist(folder.path(), <[u8]>::to_vec, "");
    let path = folder.path().join(file);
    fs::write(&path, content).unwrap();
    let message = mnist(folder.path()).unwrap_err().to_string();
    assert!(
        message.starts_with(&path.display().to_string()),
        "{message}"
    );
    assert!(message.contains("expected"), "{message}");
    message
}

#[test]
fn wrong_mnist_files_are_named() {
    let [images, labels, test_images, _] = MNIST_FILES;
    let whole = idx_file(&[3, 4, 5], &[0; 60]);
    let cases = [
        (images, vec![], "ends too early"),
        (images, whole[..9].to_vec(), "ends too early"),
        (
            images,
            whole[..75].to_vec(),
            "59 bytes follow the header; expected 60",
        ),
        (images, [&whole[..], &[0]].concat(), "more bytes follow"),
        (
            images,
            vec![0, 0, 13, 3],
            "starts with the bytes 00 00 0d; expected 00 00 08",
        ),
        (
            images,
            idx_file(&[3], &[0; 3]),
            "expected [images, height, width]",
        ),
        (
            images,
            idx_file(&[3, 0, 5], &[]),
            "the header declares [3, 0, 5]",
        ),
        (images, idx_file(&[], &[]), "the header declares []"),
        (images, gzip(&whole)[..30].to_vec(), "ends too early"),
        (images, [gzip(&whole), vec![1, 2, 3]].concat(), "gzip"),
        (labels, whole.clone(), "expected [3], a label per image"),
        (
            labels,
            idx_file(&[2], &[0, 0]),
            "dimensions are [2]; expected [3]",
        ),
        (
            labels,
            idx_file(&[3], &[0, 10, 0]),
            "label 10 at 1; expected labels below 10",
        ),
        (
            test_images,
            idx_file(&[2, 5, 4], &[0; 40]),
            "expected [1, 4, 5], as for training",
        ),
    ];
    for (file, content, expected) in cases {
        let message = mnist_message(file, &content);
        assert!(message.contains(expected), "{message} lacks {expected}");
    }
}

#[test]
fn a_missing_mnist_file_is_named() {
    for file in MNIST_FILES {
        let folder = tempdir().unwrap();
        write_mnist(folder.path(), <[u8]>::to_vec, "");
        let path = folder.path().join(file);
        fs::remove_file(&path).unwrap();
        let message = mnist(folder.path()).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("{}: missing", path.display())),
            "{message}"
        );
    }
}

#[test]
fn a_wrong_checksum_is_found() {
    let mut bytes = gzip(&idx_file(&[3], &[1, 2, 3]));
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    assert!(Idx::from_bytes("labels", &bytes).is_err());
}

#[test]
fn bombs_are_refused_without_unpacking_them() {
    let bomb = gzip(&idx_file(&[10], &vec![0; 1 << 26]));
    let message = Idx::from_bytes("bomb", &bomb).unwrap_err().to_string();
    assert!(
        message.contains("more bytes follow the header; expected 10"),
        "{message}"
    );
    let huge = idx_file(&[u32::MAX, u32::MAX, u32::MAX], &[0; 9]);
    let message = Idx::from_bytes("huge", &huge).unwrap_err().to_string();
    assert!(message.contains("1 to 1073741824 elements"), "{message}");
    let liar = idx_file(&[1 << 30], &[0; 9]);
    let message = Idx::from_bytes("liar", &liar).unwrap_err().to_string();
    assert!(
        message.contains("9 bytes follow the header; expected 1073741824"),
        "{message}"
    );
}

#[test]
fn bytes_are_named_in_messages() {
    let images = idx_file(&[1, 1, 1], &[0]);
    let labels = idx_file(&[1], &[0]);
    assert_eq!(
        idx_images("demo", &images, &labels, 10).unwrap().name(),
        "demo"
    );
    let message = |images: &[u8], labels: &[u8]| {
        idx_images("demo", images, labels, 10)
            .unwrap_err()
            .to_string()
    };
    assert!(message(&images[1..], &labels).starts_with("demo images: "));
    assert!(message(&images, &labels[1..]).starts_with("demo labels: "));
    assert!(message(&images, &images).starts_with("demo labels: "));
}

/// The fine label is the second byte of a record.
#[test]
fn cifar100_has_fine_labels() {
    let parent = tempdir().unwrap();
    let folder = parent.path().join("cifar-100-binary");
    fs::create_dir(&folder).unwrap();
    let record = |coarse: u8, fine: u8| [vec![coarse, fine], vec![fine; 3072]].concat();
    fs::write(
        folder.join("train.bin"),
        [record(1, 99), record(2, 0)].concat(),
    )
    .unwrap();
    fs::write(folder.join("test.bin"), record(3, 42)).unwrap();
    for place in [parent.path(), &folder] {
        let (train, test) = zosam::data::cifar100(place).unwrap();
        assert_eq!(
            (train.len(), train.classes(), train.shape()),
            (2, 100, [3, 32, 32])
        );
        assert_eq!((train.label(0), train.label(1), test.label(0)), (99, 0, 42));
        assert_eq!(test.pixels(0), [42; 3072]);
    }
    fs::write(folder.join("test.bin"), record(3, 100)).unwrap();
    let message = zosam::data::cifar100(&folder).unwrap_err().to_string();
    assert!(
        message.contains("label 100, not one from 0 to 99"),
        "{message}"
    );
    fs::write(folder.join("test.bin"), [0; 3073]).unwrap();
    let message = zosam::data::cifar100(&folder).unwrap_err().to_string();
    assert!(message.contains("CIFAR-100"), "{message}");
}
