//! Masks of the methods that exchange weights, against their published rules.

use serde::Deserialize;
use zosam::sparse::{
    Budget, Decay, Distribution, GradualMagnitude, LotteryTicket, Mest, MestPhase, Snfs,
    UpdateSchedule, Weight,
};
use zosam::{Dsr, Set, SparsityMethod};

use crate::reference::read;

#[derive(Deserialize)]
struct Golden {
    shapes: Vec<Vec<usize>>,
    dense_weights: Vec<Vec<f32>>,
    weights: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
    live: Vec<String>,
    set: Update,
    snfs: Vec<Update>,
    dsr: Vec<Update>,
    mest: Vec<Update>,
    imp: Imp,
    gmp: Gmp,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Update {
    fraction: f64,
    threshold: f64,
    threshold_after: f64,
    share: f64,
    lambda: f64,
    drop_to: f64,
    grow_to: f64,
    live: Vec<String>,
    survivors: Vec<String>,
    counts: Vec<usize>,
}

#[derive(Deserialize)]
struct Imp {
    rate: f64,
    sparsity: f64,
    levels: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct Gmp {
    sparsity: f64,
    begin: u64,
    end: u64,
    every: u64,
    steps: Vec<GmpStep>,
}

#[derive(Deserialize)]
struct GmpStep {
    step: u64,
    live: Vec<String>,
}

fn live_set(bits: &str) -> Vec<bool> {
    bits.chars().map(|bit| bit == '1').collect()
}

fn live_sets(bits: &[String]) -> Vec<Vec<bool>> {
    bits.iter().map(|bits| live_set(bits)).collect()
}

fn count(live: &[bool]) -> usize {
    live.iter().filter(|live| **live).count()
}

impl Golden {
    /// The sparse net, or the dense one.
    fn weights(&self, dense: bool) -> Vec<Weight> {
        let layer = |i: usize| Weight {
            path: format!("layer{i}.weight"),
            shape: self.shapes[i].clone(),
            values: match dense {
                true => self.dense_weights[i].clone(),
                false => self.weights[i].clone(),
            },
            gradient: self.gradients[i].clone(),
            live: match dense {
                true => vec![true; self.weights[i].len()],
                false => live_set(&self.live[i]),
            },
            ..Weight::default()
        };
        (0..self.shapes.len()).map(layer).collect()
    }
}

/// The golden survivors all live, and each layer has its count.
fn check_survivors(new: &[Vec<bool>], survivors: &[String], counts: &[usize], what: &str) {
    for ((new, survivors), expected) in new.iter().zip(survivors).zip(counts) {
        let kept = live_set(survivors);
        assert!(
            new.iter().zip(&kept).all(|(new, kept)| *new || !kept),
            "{what}"
        );
        assert_eq!(count(new), *expected, "{what}");
    }
}

#[test]
fn set_keeps_the_survivors_and_the_counts() {
    let golden: Golden = read("methods");
    let mut set = Set::new(0.8).every(1).until(10);
    assert_eq!(set.schedule.fraction, golden.set.fraction);
    let weights = golden.weights(false);
    let new = set.update(1, &weights, 0).unwrap();
    let counts: Vec<usize> = weights.iter().map(|weight| count(&weight.live)).collect();
    check_survivors(&new, &golden.set.survivors, &counts, "set");
    // Random growth: another seed, other positions; and not those that were there.
    assert!(new != set.update(1, &weights, 1).unwrap());
    assert!(new != live_sets(&golden.live));
}

#[test]
fn snfs_masks_are_equal() {
    let golden: Golden = read("methods");
    for update in &golden.snfs {
        let schedule = UpdateSchedule::every(1)
            .until(10)
            .with_fraction(update.fraction)
            .with_decay(Decay::Constant);
        let mut snfs = Snfs::new(0.8).with_schedule(schedule);
        let new = snfs.update(1, &golden.weights(false), 0).unwrap();
        assert!(new == live_sets(&update.live), "{}", update.fraction);
    }
}

#[test]
fn dsr_survivors_counts_and_thresholds_are_equal() {
    let golden: Golden = read("methods");
    let mut factors = Vec::new();
    for update in &golden.dsr {
        let dsr = Dsr::new(0.8)
            .every(1)
            .until(10)
            .with_threshold(update.threshold);
        let mut dsr = dsr.with_share(update.share);
        let new = dsr.update(1, &golden.weights(false), 0).unwrap();
        let what = format!("threshold {}", update.threshold);
        check_survivors(&new, &update.survivors, &update.counts, &what);
        // What was dropped does not come back in the same change.
        for ((new, old), kept) in new.iter().zip(&golden.live).zip(&update.survivors) {
            let (old, kept) = (live_set(old), live_set(kept));
            assert!(
                (0..new.len()).all(|i| !new[i] || kept[i] || !old[i]),
                "{what}"
            );
        }
        assert_eq!(dsr.current_threshold(), update.threshold_after, "{what}");
        factors.push(update.threshold_after / update.threshold);
    }
    assert_eq!(factors, [2.0, 1.0, 0.5], "the cases cover each branch");
}

#[test]
fn mest_survivors_and_counts_are_equal() {
    let golden: Golden = read("methods");
    for update in &golden.mest {
        let (drop_to, grow_to) = (update.drop_to, update.grow_to);
        let mut mest = Mest::em(0.8).over(10).with_lambda(update.lambda);
        mest.phases = vec![MestPhase {
            until: 10,
            drop_to,
            grow_to,
        }];
        let new = mest.update(1, &golden.weights(false), 0).unwrap();
        let what = format!("{}, {drop_to}, {grow_to}", update.lambda);
        check_survivors(&new, &update.survivors, &update.counts, &what);
    }
}

#[test]
fn lottery_ticket_levels_are_equal() {
    let golden: Golden = read("methods");
    let imp = &golden.imp;
    let mut tickets = LotteryTicket::new(imp.sparsity)
        .with_level_steps(4)
        .with_rate(imp.rate);
    assert_eq!(tickets.levels(), imp.levels.len() as u64);
    let mut weights = golden.weights(true);
    for (level, expected) in imp.levels.iter().enumerate() {
        let step = 4 * (level as u64 + 1) - 1;
        assert!(tickets.is_due(step));
        let new = tickets.update(step, &weights, 0).unwrap();
        assert!(new == live_sets(expected), "level {level}");
        for (weight, new) in weights.iter_mut().zip(new) {
            weight.live = new;
        }
    }
}

#[test]
fn gradual_pruning_is_equal() {
    let golden: Golden = read("methods");
    let gmp = &golden.gmp;
    let mut method = GradualMagnitude::new(gmp.sparsity)
        .between(gmp.begin..=gmp.end)
        .every(gmp.every)
        .with_budget(Budget::PerLayer(Distribution::Uniform));
    let due: Vec<u64> = (0..200).filter(|step| method.is_due(*step)).collect();
    let expected: Vec<u64> = gmp.steps.iter().map(|step| step.step).collect();
    assert_eq!(due, expected);
    let mut weights = golden.weights(true);
    for step in &gmp.steps {
        let new = method.update(step.step, &weights, 0).unwrap();
        assert!(new == live_sets(&step.live), "step {}", step.step);
        for (weight, new) in weights.iter_mut().zip(new) {
            weight.live = new;
        }
    }
}

/// Sparsities of gradual pruning to 0.9 in a hundred steps, as published implementations have them.
#[test]
fn gradual_pruning_follows_the_cubic() {
    let gmp = GradualMagnitude::new(0.9).between(0..=100).every(10);
    let expected = [
        (0, 0.0),
        (10, 0.2439),
        (25, 0.5203125),
        (50, 0.7875),
        (75, 0.8859375),
        (100, 0.9),
    ];
    for (step, sparsity) in expected {
        assert!((gmp.sparsity_at(step) - sparsity).abs() < 1e-12, "{step}");
    }
}
