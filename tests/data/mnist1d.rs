//! MNIST-1D against the published package; `tests/golden/make_mnist1d.py` made the numbers.

use serde::Deserialize;
use zosam::Error;
use zosam::data::{Mnist1dDraw, mnist1d};

#[derive(Deserialize)]
struct Case {
    digit: usize,
    padding: usize,
    scale: f64,
    shift: usize,
    correlated: Vec<f64>,
    independent: Vec<f64>,
    shear: f64,
    values: Vec<f64>,
}

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    means: Vec<Vec<f64>>,
    deviations: Vec<Vec<f64>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/mnist1d.json")).unwrap()
}

#[test]
fn given_draws_make_the_packages_sequences() {
    for case in golden().cases {
        let draw = Mnist1dDraw {
            padding: case.padding,
            scale: case.scale,
            shift: case.shift,
            correlated: case.correlated,
            independent: case.independent,
            shear: case.shear,
        };
        let values = draw.apply(case.digit).unwrap();
        assert_eq!(values.len(), case.values.len());
        for (ours, theirs) in values.iter().zip(&case.values) {
            // In f64 throughout; the filter's sums are in another order than SciPy's.
            assert!((ours - theirs).abs() < 1e-12, "{ours} instead of {theirs}");
        }
    }
}

/// Ours is another generator than NumPy's: of the same distribution, class by class and place by place.
#[test]
fn classes_have_the_packages_means_and_deviations() {
    let golden = golden();
    let [train, test] = mnist1d(5000, 0).unwrap();
    let sequences = [train.clone(), test.clone()].concat();
    for digit in 0..10 {
        let of = || sequences.iter().filter(|one| one.label == digit);
        let count = of().count() as f64;
        assert_eq!(count, 500.0);
        for place in 0..40 {
            let values = || of().map(|one| f64::from(one.values[place]));
            let mean = values().sum::<f64>() / count;
            let square = values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            let (mean_of, deviation_of) =
                (golden.means[digit][place], golden.deviations[digit][place]);
            // Five standard errors of the difference of two such means, which one of 400 exceeds with a chance of 2e-4.
            let error = deviation_of * (2.0 / count).sqrt();
            assert!(
                (mean - mean_of).abs() < 5.0 * error,
                "{digit} at {place}: {mean}, {mean_of}"
            );
            // A standard deviation's own standard error is σ/√(2n) for a normal distribution; these have other tails, hence 8 of them.
            let error = deviation_of / count.sqrt();
            let deviation = square.sqrt();
            assert!(
                (deviation - deviation_of).abs() < 8.0 * error,
                "{digit} at {place}: {deviation}, {deviation_of}"
            );
        }
    }
}

#[test]
fn sets_depend_on_their_seed_alone_and_are_normalised() {
    let [train, test] = mnist1d(200, 7).unwrap();
    assert_eq!((train.len(), test.len()), (160, 40));
    let [again, _] = mnist1d(200, 7).unwrap();
    assert_eq!(train, again);
    let [other, _] = mnist1d(200, 8).unwrap();
    assert_ne!(train, other);
    let values = || {
        let sequences = [train.clone(), test.clone()].concat();
        sequences
            .into_iter()
            .flat_map(|one| one.values)
            .map(f64::from)
    };
    let mean = values().sum::<f64>() / values().count() as f64;
    let square = values().map(|value| value * value).sum::<f64>() / values().count() as f64;
    // Sums of 8000 numbers that were rounded to f32.
    assert!(
        mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-6,
        "{mean} {square}"
    );
}

#[test]
fn what_is_out_of_range_is_refused_by_name() {
    for samples in [0, 15] {
        let error = mnist1d(samples, 0).unwrap_err().to_string();
        assert!(
            error.contains("samples") && error.contains("multiple of 10"),
            "{error}"
        );
    }
    let draw = Mnist1dDraw {
        padding: 36,
        scale: 0.5,
        shift: 0,
        correlated: vec![0.0; 72],
        independent: vec![0.0; 72],
        shear: 0.5,
    };
    assert_eq!(draw.apply(9).unwrap().len(), 40);
    let refused = |draw: Mnist1dDraw, digit, field| {
        let error = draw.apply(digit).unwrap_err();
        assert!(
            matches!(&error, Error::Config { field: named, .. } if *named == field),
            "{error}"
        );
    };
    refused(draw.clone(), 10, "digit");
    refused(
        Mnist1dDraw {
            padding: 61,
            ..draw.clone()
        },
        0,
        "padding",
    );
    refused(
        Mnist1dDraw {
            shift: 48,
            ..draw.clone()
        },
        0,
        "shift",
    );
    refused(
        Mnist1dDraw {
            scale: f64::NAN,
            ..draw.clone()
        },
        0,
        "scale and shear",
    );
    refused(
        Mnist1dDraw {
            correlated: Vec::new(),
            ..draw
        },
        0,
        "noise",
    );
}
