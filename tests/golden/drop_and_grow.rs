//! RigL's update of one layer, exactly.

use serde::Deserialize;
use zosam::sparse::{GradientMagnitude, Magnitude, UpdateSchedule, Weight, drop_and_grow};

use crate::reference::read;

#[derive(Deserialize)]
struct Layer {
    shape: Vec<usize>,
    weights: Vec<f32>,
    gradients: Vec<f32>,
    live: String,
    updates: Vec<Update>,
}

#[derive(Deserialize)]
struct Update {
    fraction: f64,
    live: String,
}

fn live_set(bits: &str) -> Vec<bool> {
    bits.chars().map(|bit| bit == '1').collect()
}

fn updated(weight: &Weight, fraction: f64) -> Vec<bool> {
    drop_and_grow(weight, &Magnitude, &GradientMagnitude, fraction).unwrap()
}

#[test]
fn masks_match_the_published_rule() {
    let layers: Vec<Layer> = read("rigl");
    for layer in layers {
        let weight = Weight {
            path: "weight".to_string(),
            shape: layer.shape,
            values: layer.weights,
            gradient: layer.gradients,
            live: live_set(&layer.live),
            ..Weight::default()
        };
        for update in layer.updates {
            let new = updated(&weight, update.fraction);
            let case = format!("{:?}, {}", weight.shape, update.fraction);
            assert_eq!(new, live_set(&update.live), "{case}");
        }
    }
}

/// Eight weights, four of them live: `(live, weights, gradients, fraction, expected)`.
#[test]
fn masks_match_cases_by_hand() {
    type Row = [f32; 8];
    let weights: Row = [0.4, -0.1, 0.3, 0.2, 0.0, 0.0, 0.0, 0.0];
    let gradients: Row = [0.0, 0.1, 0.0, 0.0, 0.2, -0.5, 0.3, 0.4];
    let cases: [(&str, &str, Row, Row, f64, &str); 9] = [
        (
            "nothing to exchange",
            "11110000",
            weights,
            gradients,
            0.0,
            "11110000",
        ),
        (
            "⌊0.24 · 4⌋ = 0",
            "11110000",
            weights,
            gradients,
            0.24,
            "11110000",
        ),
        (
            "the weakest for the steepest",
            "11110000",
            weights,
            gradients,
            0.25,
            "10110100",
        ),
        ("two", "11110000", weights, gradients, 0.5, "10100101"),
        ("all", "11110000", weights, gradients, 1.0, "00001111"),
        (
            "a dropped weight grows again where its gradient is largest",
            "11110000",
            weights,
            [0.0, 9.0, 0.0, 0.0, 0.2, 0.5, 0.3, 0.4],
            0.5,
            "11100100",
        ),
        (
            "a kept weight's gradient does not matter",
            "11110000",
            weights,
            [9.0, 0.0, 9.0, 9.0, 0.2, 0.5, 0.3, 0.4],
            0.25,
            "10110100",
        ),
        (
            "equal scores: the lower position is kept, and grown",
            "11110000",
            [0.1, -0.1, 0.1, -0.1, 0.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.3, -0.3, 0.3, 0.3],
            0.5,
            "11001100",
        ),
        (
            "a live weight of zero outlives a dead one in front of it",
            "00001111",
            [0.0, 0.0, 0.0, 0.0, -0.0, 0.0, 0.1, 0.2],
            [0.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0],
            0.25,
            "00101011",
        ),
    ];
    for (case, live, weights, gradients, fraction, expected) in cases {
        let weight = Weight {
            path: "weight".to_string(),
            shape: vec![8],
            values: weights.to_vec(),
            gradient: gradients.to_vec(),
            live: live_set(live),
            ..Weight::default()
        };
        assert_eq!(updated(&weight, fraction), live_set(expected), "{case}");
    }
}

/// Published values, to the six digits given: α = 0.3, frozen from step 75,000 on.
#[test]
fn the_share_to_exchange_falls_as_published() {
    let schedule = UpdateSchedule::every(100).until(75_000);
    for (step, expected) in [
        (0, 0.3),
        (18_750, 0.256066),
        (37_500, 0.15),
        (56_250, 0.043934),
        (75_000, 0.0),
    ] {
        assert!((schedule.fraction_at(step) - expected).abs() < 5e-7);
    }
}
