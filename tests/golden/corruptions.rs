//! Corruptions against numpy, scipy, scikit-image, OpenCV, PIL and ImageMagick through `make_corruptions.py`, for the same
//! random numbers.

use std::path::Path;

use zosam::data::{Corruption, Npy};

/// Numbers in [0, 1), as in the script.
fn uniform(stream: u64, place: u64) -> f64 {
    let mut z = ((stream << 32) + place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 * 2.0_f64.powi(-53)
}

/// Roughly normal numbers, as in the script.
fn normal(stream: u64, place: u64) -> f64 {
    let twelve = (12 * place..12 * place + 12).map(|place| uniform(stream, place));
    twelve.fold(0.0, |sum, number| sum + number) - 6.0
}

/// As many numbers as the corruption draws, made as in the script.
fn draw(corruption: Corruption, clean: &[u8], shape: [usize; 3], severity: u8) -> Vec<f64> {
    let stream = 8 * corruption as u64 + u64::from(severity);
    let drawn = corruption.draw(clean, shape, severity, 0, 0).unwrap();
    let count = drawn.len() as u64;
    let all = |number: &dyn Fn(u64) -> f64| (0..count).map(number).collect();
    match corruption {
        Corruption::GaussianNoise | Corruption::SpeckleNoise | Corruption::Spatter => {
            all(&|place| normal(stream, place))
        }
        Corruption::ShotNoise => all(&|place| {
            let photons = [500.0, 250.0, 100.0, 75.0, 50.0][usize::from(severity) - 1];
            let mean = f64::from(clean[place as usize]) / 255.0 * photons;
            (mean + mean.sqrt() * uniform(stream, place)).floor()
        }),
        Corruption::ImpulseNoise => all(&|place| uniform(stream, place)),
        Corruption::GlassBlur => all(&|place| {
            if uniform(stream, place) < 0.5 {
                -1.0
            } else {
                0.0
            }
        }),
        Corruption::MotionBlur => all(&|place| 90.0 * uniform(stream, place) - 45.0),
        Corruption::Snow => all(&|place| match place == count - 1 {
            true => 90.0 * uniform(stream, 12 * place) - 135.0,
            false => normal(stream, place),
        }),
        _ => all(&|place| 2.0 * uniform(stream, place) - 1.0),
    }
}

/// Largest difference, and the share of values that may differ: none but for JPEG, which goes through other programs than
/// PIL's. Where a coefficient is half a quantisation step, the two encoders may round it differently, which moves a block of
/// 8 × 8 (found: by up to 13); decoders differ by up to 3 in the interpolation of colours.
fn tolerance(corruption: Corruption) -> (u8, f64) {
    match corruption {
        Corruption::JpegCompression => (16, 0.55),
        _ => (0, 0.0),
    }
}

#[test]
fn every_corruption_matches_its_reference() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/corruptions.npy");
    let mut images = Npy::open(path).unwrap();
    let &[_, side, _, _] = images.shape() else {
        panic!("{:?}", images.shape())
    };
    let shape = [3, side, side];
    let mut image = |place| {
        let bytes = images.bytes(place..place + 1).unwrap();
        let plane = |channel| bytes.iter().skip(channel).step_by(3).copied();
        (0..3).flat_map(plane).collect::<Vec<u8>>()
    };
    let clean = image(0);
    for (place, corruption) in Corruption::all().enumerate() {
        for severity in 1..=5 {
            let expected = image(1 + 5 * place + usize::from(severity) - 1);
            let draw = draw(corruption, &clean, shape, severity);
            let found = corruption
                .apply_draw(&clean, shape, severity, &draw)
                .unwrap();
            let differences = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b));
            let largest = differences.clone().max().unwrap();
            let differing = differences.filter(|difference| *difference > 0).count();
            let share = differing as f64 / found.len() as f64;
            println!("{corruption} {severity}: up to {largest}, {share:.3} differ");
            let (most, most_differing) = tolerance(corruption);
            assert!(
                largest <= most && share <= most_differing,
                "{corruption} {severity}"
            );
        }
    }
}
