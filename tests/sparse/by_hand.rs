//! Every rule of leaving and coming on eight weights a layer, with masks found by hand.

use zosam::sparse::{
    Budget, Decay, Distribution, Draw, Exchange, GradientMagnitude, Importance, Parts, Random,
    Recipe, Redistribution, Score, UpdateSchedule, Weight,
};
use zosam::{Dsr, GradualMagnitude, LotteryTicket, Mest, RigL, Set, SparsityMethod};

/// A layer from its live weights' values (0 for dead ones) and gradients.
fn layer(values: [f32; 8], gradient: [f32; 8]) -> Weight {
    Weight {
        path: "w".into(),
        shape: vec![4, 2],
        live: values.iter().map(|value| *value != 0.0).collect(),
        values: values.to_vec(),
        gradient: gradient.to_vec(),
        ..Weight::default()
    }
}

fn positions(live: &[bool]) -> Vec<usize> {
    (0..live.len()).filter(|i| live[*i]).collect()
}

fn update(method: &mut dyn SparsityMethod, weights: &[Weight]) -> Vec<Vec<usize>> {
    let live = method.update(1, weights, 7).unwrap();
    live.iter().map(|live| positions(live)).collect()
}

const VALUES: [f32; 8] = [0.9, 0.0, -0.2, 0.0, 0.5, -0.7, 0.0, 0.0];
const SLOPES: [f32; 8] = [0.1, -0.8, 4.0, 0.3, -0.1, 0.2, 0.9, -0.5];

/// Half the live weights: the two smallest, 2 and 4, leave; the two largest gradients among the rest come. Of 2, which
/// was just dropped, that is one: it stays.
#[test]
fn rigl_drops_by_size_and_grows_by_gradient() {
    let mut rigl = RigL::new(0.5).until(100).every(1).with_drop_fraction(0.5);
    // The cosine at step 1 of 100 leaves 0.4998 of 4 weights: one is exchanged.
    assert_eq!(update(&mut rigl, &[layer(VALUES, SLOPES)]), [[0, 2, 4, 5]]);
    let mut slopes = SLOPES;
    slopes[2] = 0.0;
    assert_eq!(update(&mut rigl, &[layer(VALUES, slopes)]), [[0, 4, 5, 6]]);
}

/// SET differs by what grows: the place that the random score ranks first among the dead and the dropped.
#[test]
fn set_grows_at_random() {
    let schedule = UpdateSchedule::every(1)
        .until(100)
        .with_fraction(0.25)
        .with_decay(Decay::Constant);
    let mut set = Set::new(0.5).with_schedule(schedule);
    let weight = layer(VALUES, SLOPES);
    let scores = Random { seed: 7, step: 2 }.score(&weight);
    let candidates = [1, 2, 3, 6, 7];
    let best = candidates
        .into_iter()
        .max_by(|a: &usize, b: &usize| scores[*a].total_cmp(&scores[*b]));
    let mut expected = vec![0, 4, 5, best.unwrap()];
    expected.sort_unstable();
    assert_eq!(update(&mut set, &[weight]), [expected]);
}

/// A recipe of which a test sets the parts that it is about.
#[derive(Debug)]
struct By {
    exchange: Exchange,
    importance: f64,
    redistribution: Redistribution,
    again: bool,
}

impl Recipe for By {
    fn parts(&self, draw: Draw) -> Parts {
        let schedule = UpdateSchedule::every(1)
            .until(100)
            .with_fraction(0.5)
            .with_decay(Decay::Constant);
        let budget = Budget::PerLayer(Distribution::Uniform);
        Parts {
            budget,
            exchange: self.exchange,
            drop: Box::new(Importance {
                lambda: self.importance,
            }),
            grow: Box::new(GradientMagnitude),
            redistribution: self.redistribution,
            regrow_dropped: self.again,
            ..Parts::new("by", 0.5, schedule, draw)
        }
    }
}

const BY: By = By {
    exchange: Exchange::Fraction,
    importance: 0.0,
    redistribution: Redistribution::None,
    again: true,
};

/// `|w| + λ |g|` of the live weights 0, 2, 4, 5: 0.9, 0.2, 0.5, 0.7 at λ = 0, and 0.95, 2.2, 0.55, 0.8 at λ = 0.5. At
/// 0 the weights 2 and 4 leave; 2 comes back, and 6 comes. At 0.5 the weights 4 and 5 leave; 6 and 1 come.
#[test]
fn importance_adds_the_gradient() {
    let weight = || [layer(VALUES, SLOPES)];
    assert_eq!(update(&mut { BY }, &weight()), [[0, 2, 5, 6]]);
    let mut by = By {
        importance: 0.5,
        ..BY
    };
    assert_eq!(update(&mut by, &weight()), [[0, 1, 2, 6]]);
}

/// As above at λ = 0, but the dropped 2 may not come back at once: 1 comes.
#[test]
fn dropped_weights_may_have_to_wait() {
    let mut by = By { again: false, ..BY };
    assert_eq!(update(&mut by, &[layer(VALUES, SLOPES)]), [[0, 1, 5, 6]]);
}

/// Below 0.6 are 2 and 4; below 0.8 it would be three, of which at most half leave: the smaller two.
#[test]
fn a_threshold_drops_what_is_below_but_at_most_half() {
    for threshold in [0.6, 0.8] {
        let exchange = Exchange::Below(threshold);
        let mut by = By {
            exchange,
            again: false,
            ..BY
        };
        assert_eq!(update(&mut by, &[layer(VALUES, SLOPES)]), [[0, 1, 5, 6]]);
    }
}

/// Two layers with 4 and 4 live weights. Below 0.6 the first loses 2 and 4, the second none: 2 and 4 weights are left,
/// and of the two places the first gets 2/3, the second 4/3, so one each (the larger remainder is the first's).
#[test]
fn places_go_by_survivors() {
    let strong = [0.9, 0.0, -0.8, 0.0, 0.7, -0.7, 0.0, 0.0];
    let mut by = By {
        exchange: Exchange::Below(0.6),
        redistribution: Redistribution::BySurvivors,
        again: false,
        ..BY
    };
    let layers = [layer(VALUES, SLOPES), layer(strong, SLOPES)];
    let expected: [&[usize]; 2] = [&[0, 5, 6], &[0, 2, 4, 5, 6]];
    assert_eq!(update(&mut by, &layers), expected);
}

/// Each layer loses the weights 2 and 4. The mean gradients over live weights are 4.4/4 and 13.2/4: of the four
/// places the first gets one, the second three, at its largest gradients, which are those of 2 (just dropped), 6 and 1.
#[test]
fn places_go_by_gradient() {
    let steep = SLOPES.map(|slope| 3.0 * slope);
    let mut by = By {
        redistribution: Redistribution::ByGradient,
        ..BY
    };
    let layers = [layer(VALUES, SLOPES), layer(VALUES, steep)];
    let expected: [&[usize]; 2] = [&[0, 2, 5], &[0, 1, 2, 5, 6]];
    assert_eq!(update(&mut by, &layers), expected);
}

/// MEST's EM at 50 % drops to three live weights of eight (62.5 %) and grows to four.
#[test]
fn bounds_drop_and_grow_to_their_counts() {
    let exchange = Exchange::Bounds {
        drop_to: 0.625,
        grow_to: 0.5,
    };
    let mut by = By { exchange, ..BY };
    assert_eq!(update(&mut by, &[layer(VALUES, SLOPES)]), [[0, 2, 4, 5]]);
    let mut slopes = SLOPES;
    slopes[2] = 0.0;
    assert_eq!(update(&mut by, &[layer(VALUES, slopes)]), [[0, 4, 5, 6]]);
    let mut mest = Mest::em(0.5).over(100).every(1);
    let live = mest.update(1, &[layer(VALUES, slopes)], 7).unwrap();
    assert_eq!(live[0].iter().filter(|live| **live).count(), 4);
}

/// To 75 %: two of eight stay in each layer, or four of both, wherever they are.
#[test]
fn gradual_pruning_keeps_the_largest() {
    let small = VALUES.map(|value| 0.5 * value);
    let layers = || [layer(VALUES, SLOPES), layer(small, SLOPES)];
    let gmp = GradualMagnitude::new(0.75).between(0..=1).every(1);
    let per_layer = Budget::PerLayer(Distribution::Uniform);
    let mut each = gmp.clone().with_budget(per_layer);
    assert_eq!(update(&mut each, &layers()), [[0, 5], [0, 5]]);
    // Sizes 0.9, 0.7, 0.5 in the first; 0.45, 0.35 in the second.
    let expected: [&[usize]; 2] = [&[0, 4, 5], &[0]];
    assert_eq!(
        update(&mut gmp.with_budget(Budget::Global), &layers()),
        expected
    );
}

/// A level takes ⌈0.2 · 8⌉ of the eight live weights of both layers together: 0.1 and 0.2.
#[test]
fn a_ticket_loses_the_smallest_of_all_layers() {
    let small = VALUES.map(|value| 0.5 * value);
    let mut tickets = LotteryTicket::new(0.9).with_level_steps(2);
    let expected: [&[usize]; 2] = [&[0, 4, 5], &[0, 4, 5]];
    let layers = [layer(VALUES, SLOPES), layer(small, SLOPES)];
    assert_eq!(update(&mut tickets, &layers), expected);
}

/// DSR halves a threshold that drops more than its share and doubles one that drops less.
#[test]
fn the_threshold_adapts() {
    let mut dsr = Dsr::new(0.5)
        .every(1)
        .until(100)
        .with_threshold(0.6)
        .with_share(0.25);
    update(&mut dsr, &[layer(VALUES, SLOPES)]);
    assert_eq!(dsr.current_threshold(), 0.3);
    // 0.3 drops one of four, its share.
    update(&mut dsr, &[layer(VALUES, SLOPES)]);
    assert_eq!(dsr.current_threshold(), 0.3);
    let mut low = Dsr::new(0.5)
        .every(1)
        .until(100)
        .with_threshold(0.1)
        .with_share(0.25);
    update(&mut low, &[layer(VALUES, SLOPES)]);
    assert_eq!(low.current_threshold(), 0.2);
}

/// Of three positive weights, 0.9, 0.5 and 0.1, and one negative, -0.2, a half by size is 0.1 and -0.2; by sign it is
/// 0.1 (a third of its sign) and then 0.5 (two thirds), since -0.2 is the largest of its own.
#[test]
fn signs_may_be_counted_apart() {
    let values = [0.9, 0.0, -0.2, 0.0, 0.5, 0.1, 0.0, 0.0];
    let schedule = UpdateSchedule::every(1)
        .until(100)
        .with_fraction(0.5)
        .with_decay(Decay::Constant);
    let kept = |set: Set| {
        let mut set = set.with_schedule(schedule.clone());
        let mut weight = layer(values, SLOPES);
        let new = update(&mut set, std::slice::from_ref(&weight));
        weight.live = (0..8).map(|i| new[0].contains(&i)).collect();
        new[0]
            .iter()
            .filter(|i| values[**i] != 0.0)
            .copied()
            .collect::<Vec<_>>()
    };
    // What grows at random at this seed is none of the dropped ones.
    assert_eq!(kept(Set::new(0.5).every(1).until(100)), [0, 4]);
    assert_eq!(kept(Set::new(0.5).every(1).until(100).by_sign()), [0, 2]);
}
