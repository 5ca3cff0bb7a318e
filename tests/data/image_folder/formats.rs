//! Formats, what cameras add to their files, and files whose names are wrong.

use std::fs;
use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, RgbaImage};
use tempfile::tempdir;
use zosam::data::{Color, ImageFolderConfig, Picture, Sizing, read_picture};

use super::drawing;

const FORMATS: [ImageFormat; 4] = [
    ImageFormat::WebP,
    ImageFormat::Bmp,
    ImageFormat::Gif,
    ImageFormat::Tiff,
];

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn original() -> ImageFolderConfig {
    ImageFolderConfig {
        sizing: Sizing::Original,
        ..ImageFolderConfig::default()
    }
}

/// A file of this name and content.
fn read_as(name: &str, bytes: &[u8], config: &ImageFolderConfig) -> zosam::Result<Picture> {
    let folder = tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    read_picture(path, config)
}

fn read(bytes: &[u8]) -> zosam::Result<Picture> {
    read_as("a.jpg", bytes, &original())
}

/// Planes of an image, as a picture has them.
fn planes(picture: &DynamicImage) -> Vec<u8> {
    let picture = picture.to_rgb8();
    let channel = |channel: usize| picture.pixels().map(move |pixel| pixel[channel]);
    (0..3).flat_map(channel).collect()
}

/// Pixels of formats without loss, under a name that says something else; transparency is dropped and grey is grey.
#[test]
fn other_formats_are_read_by_content() {
    // Few enough colours for GIF.
    let mut colours = drawing(3, 23, 17);
    for pixel in colours.pixels_mut() {
        pixel.0 = pixel.0.map(|value| value / 64 * 64);
    }
    let colours = DynamicImage::from(colours);
    let clear = RgbaImage::from_fn(9, 5, |x, y| {
        image::Rgba([x as u8, y as u8, 7, 30 * x as u8])
    });
    let clear = DynamicImage::from(clear);
    let grey = GrayImage::from_fn(9, 5, |x, y| Luma([(20 * x + y) as u8]));
    for format in FORMATS {
        let picture = read(&encoded(&colours, format)).unwrap();
        assert_eq!(picture.shape(), [3, 17, 23], "{format:?}");
        assert_eq!(picture.pixels(), planes(&colours), "{format:?}");
        let grey_only = ImageFolderConfig {
            color: Color::Grey,
            ..original()
        };
        let grey_picture = DynamicImage::from(grey.clone());
        let bytes = match format {
            // It has no grey: the luminance of three equal channels is any of them.
            ImageFormat::Gif => encoded(&grey_picture.to_rgb8().into(), format),
            _ => encoded(&grey_picture, format),
        };
        let picture = read_as("grey.png", &bytes, &grey_only).unwrap();
        assert_eq!(picture.pixels(), grey.as_raw().as_slice(), "{format:?}");
        if format != ImageFormat::Gif {
            let picture = read(&encoded(&clear, format)).unwrap();
            assert_eq!(picture.pixels(), planes(&clear), "{format:?}");
        }
    }
}

/// Whatever is missing at the end is noticed.
#[test]
fn files_that_were_cut_off_are_refused() {
    let picture = DynamicImage::from(drawing(5, 40, 30));
    for format in FORMATS {
        let whole = encoded(&picture, format);
        let read_whole = read(&whole).unwrap();
        for part in 0..50 {
            let cut = &whole[..whole.len() * part / 50];
            // A last byte may be one that is not needed, such as GIF's trailer; then all pixels are there.
            if let Ok(picture) = read(cut) {
                assert_eq!(picture, read_whole, "{format:?}, {part} of 50");
                assert!(part == 49, "{format:?}, {part} of 50");
            }
        }
    }
}

/// Random damage: an error, or an image of its own size; never a panic.
#[test]
fn damaged_files_do_no_harm() {
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    let picture = DynamicImage::from(drawing(7, 40, 30));
    let mut generator = ChaCha8Rng::seed_from_u64(9);
    for format in FORMATS {
        let whole = encoded(&picture, format);
        for _ in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..generator.random_range(1..=4) {
                let limit = [200.min(bytes.len()), bytes.len()][generator.random_range(0..2)];
                bytes[generator.random_range(0..limit)] ^= 1 << generator.random_range(0..8);
            }
            if let Ok(picture) = read(&bytes) {
                let [channels, height, width] = picture.shape();
                assert_eq!(picture.pixels().len(), channels * height * width);
            }
        }
    }
}

/// A phone's motion photo: the film behind the picture has the bytes that begin and end a scan.
#[test]
fn data_behind_a_jpeg_is_none_of_it() {
    let whole = encoded(&DynamicImage::from(drawing(1, 40, 30)), ImageFormat::Jpeg);
    let picture = read(&whole).unwrap();
    let film = b"\0\0\0\x18ftypmp42\xff\xda\0\x0c\xff\xd8 film \xff\xda\xff\xff";
    for trailer in [&film[..], &[0xff, 0xda], &[0; 100], &whole[..200]] {
        let bytes = [&whole, trailer].concat();
        assert_eq!(read(&bytes).unwrap(), picture);
        // The picture itself has to be whole.
        let cut = [&whole[..whole.len() - 3], trailer].concat();
        let message = read(&cut).unwrap_err().to_string();
        assert!(message.contains("expected a whole JPEG"), "{message}");
    }
}

/// A JPEG that says how its camera was held: EXIF's orientations 1 to 8.
fn held(orientation: u8) -> Vec<u8> {
    let plain = encoded(&DynamicImage::from(drawing(2, 24, 16)), ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&plain[..2], &[0xff, 0xe1], &length, &exif, &plain[2..]].concat()
}

/// As stored unless asked for; then as the eight cases of the standard, written out.
#[test]
fn orientation_is_applied_on_request() {
    let upright = ImageFolderConfig {
        exif_orientation: true,
        ..original()
    };
    let stored = read(&held(1)).unwrap();
    let [_, height, width] = stored.shape();
    for orientation in 1..=8 {
        let bytes = held(orientation);
        assert_eq!(read(&bytes).unwrap(), stored);
        let turned = read_as("a.jpg", &bytes, &upright).unwrap();
        let [_, tall, wide] = turned.shape();
        let swaps = orientation >= 5;
        assert_eq!(
            [tall, wide],
            if swaps {
                [width, height]
            } else {
                [height, width]
            }
        );
        for (at, value) in turned.pixels()[..tall * wide].iter().enumerate() {
            let (y, x) = (at / wide, at % wide);
            // Where the picture's row y and column x are stored.
            let (row, column) = match orientation {
                1 => (y, x),
                2 => (y, width - 1 - x),
                3 => (height - 1 - y, width - 1 - x),
                4 => (height - 1 - y, x),
                5 => (x, y),
                6 => (height - 1 - x, y),
                7 => (height - 1 - x, width - 1 - y),
                _ => (x, width - 1 - y),
            };
            let expected = stored.pixels()[row * width + column];
            assert_eq!(*value, expected, "orientation {orientation} at {y}, {x}");
        }
    }
}
