//! Damaged and hostile files: an error, or an image of the right shape; never a panic.

use std::fs;
use std::path::Path;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tempfile::tempdir;
use zosam::Error;
use zosam::data::{ImageFolderConfig, Sizing, read_picture};

use super::{save, square};

/// Flips bits, or cuts the file off.
fn damage(bytes: &[u8], generator: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if generator.random_bool(0.3) {
        bytes.truncate(generator.random_range(0..bytes.len()));
        return bytes;
    }
    for _ in 0..generator.random_range(1..=4) {
        let limit = if generator.random_bool(0.5) {
            200.min(bytes.len())
        } else {
            bytes.len()
        };
        let at = generator.random_range(0..limit);
        bytes[at] ^= 1 << generator.random_range(0..8);
    }
    bytes
}

/// How many of a thousand damaged files are read as an image, and how many of those were cut off.
fn read_of_1000(name: &str, progressive: bool, seed: u64) -> [usize; 2] {
    let folder = tempdir().unwrap();
    let path = folder.path().join(name);
    save(folder.path(), name, seed as u32, [61, 45]);
    if progressive {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/folder");
        fs::copy(golden.join("progressive.jpg"), &path).unwrap();
    }
    let whole = fs::read(&path).unwrap();
    let original = read_picture(&path, &square(16)).unwrap();
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut count = [0; 2];
    for _ in 0..1000 {
        let bytes = damage(&whole, &mut generator);
        fs::write(&path, &bytes).unwrap();
        match read_picture(&path, &square(16)) {
            Ok(picture) => {
                assert_eq!(picture.shape(), [3, 16, 16]);
                // Checksums: what of a PNG is read is what was written.
                assert!(!name.ends_with("png") || picture == original);
                count[0] += 1;
                count[1] += usize::from(bytes.len() < whole.len());
            }
            Err(error) => assert!(matches!(error, Error::File { .. }), "{error:?}"),
        }
    }
    count
}

#[test]
fn damaged_png_files_are_refused() {
    // What remains readable has a flip in a chunk that does not count, or two flips of the same bit.
    let [read, cut] = read_of_1000("a.png", false, 1);
    assert!(read < 100 && cut == 0, "{read}, {cut} cut off");
}

#[test]
fn damaged_jpeg_files_are_refused_or_have_the_right_shape() {
    // JPEG has no checksums: most flips make another valid file. A file that was cut off is always found.
    let [read, cut] = read_of_1000("a.jpg", false, 2);
    assert!(
        (50..800).contains(&read) && cut == 0,
        "{read}, {cut} cut off"
    );
    let [read, cut] = read_of_1000("b.jpg", true, 3);
    assert!(
        (50..800).contains(&read) && cut == 0,
        "{read}, {cut} cut off"
    );
}

fn message(bytes: &[u8]) -> String {
    let folder = tempdir().unwrap();
    let path = folder.path().join("image.png");
    fs::write(&path, bytes).unwrap();
    let original = ImageFolderConfig {
        sizing: Sizing::Original,
        ..ImageFolderConfig::default()
    };
    read_picture(&path, &original).unwrap_err().to_string()
}

#[test]
fn small_files_that_declare_huge_images_are_refused() {
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 50_000, 50_000);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().finish().ok();
    assert!(
        message(&png).contains("50000 × 50000 pixels"),
        "{}",
        message(&png)
    );
    let folder = tempdir().unwrap();
    save(folder.path(), "a.jpg", 1, [16, 16]);
    let mut jpeg = fs::read(folder.path().join("a.jpg")).unwrap();
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xf0, 0xff, 0xf0]);
    assert!(
        message(&jpeg).contains("65520 × 65520 pixels"),
        "{}",
        message(&jpeg)
    );
}

#[test]
fn files_that_are_no_images_are_refused() {
    assert!(message(b"").contains("it is empty"));
    assert!(message(b"GIF89a").contains("expected a whole JPEG, PNG, WebP, GIF, BMP or TIFF file"));
    assert!(message(&[0xff, 0xd8]).contains("expected a whole JPEG"));
    assert!(message(b"words").contains("no image of a known format"));
    // What people have in their folders, and what downloads end in.
    assert!(message(b"\0\0\0\x24ftypheic\0\0").contains("it is HEIC, by its content"));
    assert!(message(b"\0\0\0\x1cftypavif\0\0").contains("it is AVIF"));
    assert!(message(b"<!DOCTYPE html><html>404").contains("it is a web page"));
    let folder = tempdir().unwrap();
    for path in [
        folder.path().join("missing.png"),
        folder.path().to_path_buf(),
    ] {
        let error = read_picture(path, &square(8)).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error:?}");
    }
}
