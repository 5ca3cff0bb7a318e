//! Corruptions: reproducible, for any image, with the right statistics. `tests/golden` compares them with other programs.

use proptest::prelude::*;
use zosam::Error;
use zosam::data::{Corruption, Images};

use super::image_set;

const SHAPE: [usize; 3] = [3, 32, 32];

fn in_threads(count: usize, images: &Images, corruption: Corruption) -> Images {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count);
    let corrupt = || corruption.corrupt(images, 3, 7).unwrap();
    pool.build().unwrap().install(corrupt)
}

fn all_pixels(images: &Images) -> Vec<u8> {
    (0..images.len())
        .flat_map(|index| images.pixels(index))
        .copied()
        .collect()
}

#[test]
fn the_number_of_threads_and_the_other_images_change_nothing() {
    let images = image_set(9, SHAPE);
    for corruption in Corruption::all() {
        let one = in_threads(1, &images, corruption);
        assert_eq!(
            all_pixels(&one),
            all_pixels(&in_threads(4, &images, corruption)),
            "{corruption}"
        );
        let alone = corruption.apply(images.pixels(5), SHAPE, 3, 7, 5).unwrap();
        assert_eq!(one.pixels(5), alone, "{corruption}");
        let labels = (0..9).all(|index| one.label(index) == images.label(index));
        assert!(labels && one.name() == format!("set, {corruption} 3"));
    }
}

#[test]
fn draws_depend_on_seed_corruption_severity_and_index() {
    let pixels = vec![100; 3072];
    let draw = |corruption: Corruption, severity, seed, index| {
        corruption
            .draw(&pixels, SHAPE, severity, seed, index)
            .unwrap()
    };
    let first = draw(Corruption::GaussianNoise, 1, 0, 0);
    assert_eq!(first, draw(Corruption::GaussianNoise, 1, 0, 0));
    assert_ne!(first, draw(Corruption::SpeckleNoise, 1, 0, 0));
    assert_ne!(first, draw(Corruption::GaussianNoise, 2, 0, 0));
    assert_ne!(first, draw(Corruption::GaussianNoise, 1, 1, 0));
    assert_ne!(first, draw(Corruption::GaussianNoise, 1, 0, 1));
}

/// Moments over 64 images of 3,072 grey values; bounds are five deviations of their estimates or wider.
#[test]
fn noise_has_its_distribution() {
    let grey = Images::new("grey", vec![128; 64 * 3072], vec![0; 64], SHAPE, 1).unwrap();
    let moments = |corruption: Corruption, severity| {
        let pixels = all_pixels(&corruption.corrupt(&grey, severity, 0).unwrap());
        let count = pixels.len() as f64;
        let mean = pixels.iter().map(|pixel| f64::from(*pixel)).sum::<f64>() / count;
        let square = |pixel: &u8| (f64::from(*pixel) - mean).powi(2);
        (
            mean,
            (pixels.iter().map(square).sum::<f64>() / count).sqrt(),
        )
    };
    let x: f64 = 128.0 / 255.0;
    for (corruption, severity, deviation) in [
        (Corruption::GaussianNoise, 1, 0.04),
        (Corruption::GaussianNoise, 3, 0.08),
        (Corruption::SpeckleNoise, 5, 0.2 * x),
        (Corruption::ShotNoise, 1, (x / 500.0).sqrt()),
        (Corruption::ShotNoise, 5, (x / 50.0).sqrt()),
        // Half of the share becomes 0, half 1.
        (
            Corruption::ImpulseNoise,
            5,
            (0.07 * (0.5 - x + x * x)).sqrt(),
        ),
    ] {
        let (mean, found) = moments(corruption, severity);
        // Rounding down takes half a level off on average.
        assert!(
            (mean - 127.5).abs() < 0.6,
            "{corruption} {severity}: mean {mean}"
        );
        let error = (found / (255.0 * deviation) - 1.0).abs();
        assert!(error < 0.02, "{corruption} {severity}: deviation {found}");
    }
}

#[test]
fn angles_and_steps_are_in_range() {
    let pixels = vec![0; 3072];
    for index in 0..200 {
        let draw = |corruption: Corruption| corruption.draw(&pixels, SHAPE, 5, 0, index).unwrap();
        assert!((-45.0..45.0).contains(&draw(Corruption::MotionBlur)[0]));
        assert!((-135.0..-45.0).contains(draw(Corruption::Snow).last().unwrap()));
        assert_eq!(
            draw(Corruption::ShotNoise),
            vec![0.0; 3072],
            "black stays black"
        );
        let steps = draw(Corruption::GlassBlur);
        assert!(steps.iter().all(|step| [0.0, -1.0].contains(step)) && steps.len() == 2 * 2 * 900);
    }
}

/// One channel is treated as each channel of a grey image is.
#[test]
fn one_channel_is_grey() {
    let set = image_set(1, [1, 32, 32]);
    let grey = set.pixels(0);
    let colors = [grey, grey, grey].concat();
    let differing = [
        Corruption::Frost,
        Corruption::Saturate,
        Corruption::JpegCompression,
        Corruption::Spatter,
    ];
    for corruption in Corruption::all().filter(|corruption| !differing.contains(corruption)) {
        for severity in 1..=5 {
            let draw = corruption.draw(grey, [1, 32, 32], severity, 0, 0).unwrap();
            let of_color = corruption.draw(&colors, SHAPE, severity, 0, 0).unwrap();
            if draw.len() != of_color.len() {
                continue; // noise is drawn for each channel
            }
            let one = corruption
                .apply_draw(grey, [1, 32, 32], severity, &draw)
                .unwrap();
            let three = corruption
                .apply_draw(&colors, SHAPE, severity, &draw)
                .unwrap();
            for channel in three.chunks(1024) {
                // The weights of brightness add up to 1 but for the last bit.
                let close = one.iter().zip(channel).all(|(a, b)| a.abs_diff(*b) <= 1);
                assert!(close, "{corruption} {severity}");
            }
        }
    }
    let pale = Corruption::Saturate
        .apply(grey, [1, 32, 32], 5, 0, 0)
        .unwrap();
    // Rounding down may cost a level, as it does in the authors' program.
    assert!(pale.iter().zip(grey).all(|(a, b)| a.abs_diff(*b) <= 1));
}

#[test]
fn names_are_those_of_the_files() {
    for corruption in Corruption::all() {
        assert_eq!(corruption.name().parse(), Ok(corruption));
        let json = serde_json::to_string(&corruption).unwrap();
        assert_eq!(json, format!("\"{corruption}\""));
    }
    assert_eq!(Corruption::all().count(), 19);
    assert_eq!(
        Corruption::all()
            .filter(|corruption| corruption.is_benchmark())
            .count(),
        15
    );
    let error = "blurry".parse::<Corruption>().unwrap_err();
    assert!(error.to_string().contains("`blurry`"), "{error}");
}

#[test]
fn errors_name_what_is_wrong() {
    let apply = |shape, severity| Corruption::Fog.apply(&[0; 12], shape, severity, 0, 0);
    for (shape, severity, field) in [
        ([3, 2, 2], 0, "corruption.severity"),
        ([3, 2, 2], 6, "corruption.severity"),
        ([2, 3, 2], 1, "corruption.shape"),
        ([3, 2, 3], 1, "corruption.shape"),
        ([3, 0, 2], 1, "corruption.shape"),
        ([3, usize::MAX, 2], 1, "corruption.shape"),
    ] {
        let error = apply(shape, severity).unwrap_err();
        assert!(
            matches!(error, Error::Config { field: found, .. } if found == field),
            "{error}"
        );
    }
    for draw in [vec![0.0; 2], vec![f64::NAN; 3]] {
        let error = Corruption::Fog
            .apply_draw(&[0; 12], [3, 2, 2], 1, &draw)
            .unwrap_err();
        assert!(error.to_string().contains("corruption.draw"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any size, any content, any finite draws of the right number.
    #[test]
    fn nothing_panics(
        color in any::<bool>(), height in 1_usize..40, width in 1_usize..40,
        severity in 1_u8..=5, seed in any::<u64>(), which in 0_usize..19, flat in any::<bool>(), wild in -1e300_f64..1e300,
    ) {
        let shape = [if color { 3 } else { 1 }, height, width];
        let pixels: Vec<u8> = (0..shape.iter().product::<usize>())
            .map(|place| if flat { seed as u8 } else { (place as u64 ^ seed).wrapping_mul(97) as u8 })
            .collect();
        let corruption = Corruption::all().nth(which).unwrap();
        let result = corruption.apply(&pixels, shape, severity, seed, 0).unwrap();
        prop_assert_eq!(result.len(), pixels.len());
        let draw = corruption.draw(&pixels, shape, severity, seed, 0).unwrap();
        let wild = vec![wild; draw.len()];
        prop_assert!(corruption.apply_draw(&pixels, shape, severity, &wild).is_ok());
    }
}
