//! Order, labels, and folders that are not as they should be.

use std::fs;

use tempfile::tempdir;
use zosam::Error;
use zosam::data::{ImageFolder, ImageSource, Sizing, image_folders};

use super::{open, save, square, twelve};

fn names(images: &ImageFolder) -> Vec<String> {
    let name = |index| {
        let name = images.path(index).file_name().unwrap();
        name.to_str().unwrap().to_string()
    };
    (0..images.len()).map(name).collect()
}

#[test]
fn classes_and_files_are_in_the_order_of_their_names() {
    let folder = twelve();
    let images = open(folder.path());
    assert_eq!(images.class_names(), ["ant", "bee", "cat"]);
    assert_eq!(
        (images.len(), images.classes(), images.channels()),
        (12, 3, 3)
    );
    let labels: Vec<usize> = (0..12).map(|index| images.label(index)).collect();
    assert_eq!(labels, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(
        names(&images)[..5],
        ["00.png", "03.jpg", "06.png", "09.jpg", "01.jpg"]
    );
    assert_eq!(
        (images.class_name(2), images.class_name(3)),
        (Some("cat"), None)
    );
    assert_eq!(names(&images.spread(3)), ["00.png", "01.jpg", "02.png"]);
    assert_eq!(images.spread(100).len(), 12);
    assert!(images.spread(0).is_empty());
}

#[test]
fn hidden_and_other_files_are_passed_over_and_deeper_ones_found() {
    let folder = tempdir().unwrap();
    let root = folder.path();
    for name in [
        "a/2.PNG",
        "a/deep/er/1.JPEG",
        "a/.hidden.png",
        ".git/3.png",
        "b/4.jpg",
    ] {
        save(root, name, 1, [3, 3]);
    }
    fs::write(root.join("a/notes.txt"), "notes").unwrap();
    fs::write(root.join("README"), "notes").unwrap();
    let images = open(root);
    assert_eq!(images.class_names(), ["a", "b"]);
    assert_eq!(names(&images), ["2.PNG", "1.JPEG", "4.jpg"]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;

    let folder = twelve();
    let other = tempdir().unwrap();
    symlink(folder.path().join("bee"), other.path().join("wasp")).unwrap();
    assert_eq!(open(other.path()).len(), 4);
    symlink(other.path(), other.path().join("wasp/round")).unwrap();
    let error = ImageFolder::open(other.path(), square(8)).unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
}

#[test]
fn folders_that_cannot_be_used_say_why() {
    let folder = tempdir().unwrap();
    let message = |path: &std::path::Path| {
        let error = ImageFolder::open(path, square(8)).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error:?}");
        error.to_string()
    };
    assert!(message(&folder.path().join("missing")).contains("expected a folder"));
    assert!(message(folder.path()).contains("no folders; expected one for each class"));
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert!(message(folder.path()).contains("empty: a class without images; expected .jpg, "));
    for name in ["1.heic", "2.HEIC", "notes.txt", "README"] {
        fs::write(folder.path().join("empty").join(name), "").unwrap();
    }
    let found = message(folder.path());
    let counts = "1 file without extension, 2 .heic files, 1 .txt file";
    assert!(
        found.contains(&format!("without images, but with {counts}; expected")),
        "{found}"
    );
    for sizing in [
        Sizing::CenterCrop { resize: 8, crop: 9 },
        Sizing::CenterCrop { resize: 0, crop: 0 },
        Sizing::Stretch([1, 8193]),
    ] {
        let error = open(twelve().path()).with_sizing(sizing).unwrap_err();
        assert!(error.to_string().starts_with("sizing = "), "{error}");
    }
}

#[test]
fn training_and_validation_have_the_same_classes() {
    let folder = tempdir().unwrap();
    for name in ["train/a/1.png", "train/b/2.png", "val/a/3.png"] {
        save(folder.path(), name, 1, [3, 3]);
    }
    let error = image_folders(folder.path(), square(8))
        .unwrap_err()
        .to_string();
    assert!(error.contains("val: has no class `b`"), "{error}");
    save(folder.path(), "val/b/4.png", 1, [3, 3]);
    let (train, val) = image_folders(folder.path(), square(8)).unwrap();
    assert_eq!((train.len(), val.len()), (2, 2));
    save(folder.path(), "val/c/5.png", 1, [3, 3]);
    let error = image_folders(folder.path(), square(8))
        .unwrap_err()
        .to_string();
    assert!(error.contains("train: has no class `c`"), "{error}");
}

/// A folder in `val` may be empty; one that is not there is a mistake.
#[test]
fn a_class_may_have_no_validation_images() {
    let folder = tempdir().unwrap();
    for name in ["train/a/1.png", "train/b/2.png", "val/a/3.png"] {
        save(folder.path(), name, 1, [3, 3]);
    }
    fs::create_dir(folder.path().join("val/b")).unwrap();
    let (train, val) = image_folders(folder.path(), square(8)).unwrap();
    assert_eq!((train.classes(), val.classes(), val.len()), (2, 2, 1));
    fs::remove_file(folder.path().join("val/a/3.png")).unwrap();
    let error = image_folders(folder.path(), square(8)).unwrap_err();
    assert!(error.to_string().contains("val: no images"), "{error}");
    // Training on a class without images is none.
    fs::remove_file(folder.path().join("train/b/2.png")).unwrap();
    let error = image_folders(folder.path(), square(8)).unwrap_err();
    assert!(
        error.to_string().contains("b: a class without images"),
        "{error}"
    );
}

/// Labels by the names that a model was trained with, whatever the order and number of the folders.
#[test]
fn folders_are_matched_with_classes_by_name() {
    let folder = twelve();
    let classes = ["cat", "dog", "ant", "bee"].map(String::from);
    let open =
        |classes: &[String]| ImageFolder::open_with_classes(folder.path(), classes, square(8));
    let images = open(&classes).unwrap();
    let labels: Vec<usize> = (0..12).map(|index| images.label(index)).collect();
    assert_eq!(labels, [2, 2, 2, 2, 3, 3, 3, 3, 0, 0, 0, 0]);
    assert_eq!((images.classes(), images.class_name(0)), (4, Some("cat")));
    let error = open(&classes[..3]).unwrap_err().to_string();
    assert!(
        error.contains("bee: is none of the 3 classes: cat, dog, ant"),
        "{error}"
    );
}
