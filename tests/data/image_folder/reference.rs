//! Decoding, resizing and cropping against PIL and torchvision (`tests/golden/make_folder.py`).

use std::path::Path;

use serde::Deserialize;
use zosam::data::{Color, Filter, ImageFolderConfig, Sizing, read_picture};

#[derive(Deserialize)]
struct Case {
    file: String,
    sizing: Option<[usize; 2]>,
    filter: Option<Filter>,
    #[serde(default)]
    grey: bool,
    shape: [usize; 3],
    pixels: String,
}

/// The largest difference of a pixel, and the mean difference.
fn differences(case: &Case) -> [f64; 2] {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/folder");
    let config = ImageFolderConfig {
        color: if case.grey { Color::Grey } else { Color::Rgb },
        sizing: case
            .sizing
            .map_or(Sizing::Original, |[resize, crop]| Sizing::CenterCrop {
                resize,
                crop,
            }),
        filter: case.filter.unwrap_or_default(),
        exif_orientation: false,
    };
    let picture = read_picture(golden.join(&case.file), &config).unwrap();
    assert_eq!(picture.shape(), case.shape, "{}", case.file);
    let hex = case.pixels.as_bytes().chunks_exact(2);
    let expected = hex.map(|pair| {
        let pair = std::str::from_utf8(pair).unwrap();
        u8::from_str_radix(pair, 16).unwrap()
    });
    let apart = picture.pixels().iter().zip(expected);
    let apart: Vec<f64> = apart
        .map(|(ours, theirs)| ours.abs_diff(theirs).into())
        .collect();
    let largest = apart.iter().copied().fold(0.0, f64::max);
    [largest, apart.iter().sum::<f64>() / apart.len() as f64]
}

#[test]
fn pixels_are_those_of_pil() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../golden/folder.json")).unwrap();
    for case in cases {
        let [largest, mean] = differences(&case);
        let name = format!(
            "{} {:?} {:?}: {largest}, {mean}",
            case.file, case.sizing, case.filter
        );
        match (&case.sizing, case.file.ends_with("png")) {
            (None, true) => assert_eq!(largest, 0.0, "{name}"),
            // Fixed-point weights of 16 bits instead of 22.
            (Some(_), true) => assert!(largest <= 1.0 && mean < 0.05, "{name}"),
            // Decoders differ in how they round cosine transforms and interpolate colour.
            _ => assert!(largest <= 2.0 && mean < 0.5, "{name}"),
        }
    }
}
