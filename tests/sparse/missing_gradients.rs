//! A layer that a step's loss does not depend on.

use zosam::optim::{ForwardOnly, ForwardRule};
use zosam::perturb::{Delta, ZoSamConfig};
use zosam::sparse::{GradientMemory, Mest, MestGrowth, Method, Sparsity};
use zosam::{RigL, Set, Snfs, Svite};

use super::*;

fn named(names: &[&str]) -> Vec<(&'static str, Method)> {
    let mut methods = methods();
    methods.retain(|(name, _)| names.contains(name));
    assert_eq!(methods.len(), names.len());
    methods
}

/// Methods that rank by nothing but weights and chance never ask for a gradient.
#[test]
fn methods_without_gradients_do_not_miss_one() {
    let names = [
        "set",
        "set itop",
        "set normal",
        "dsr",
        "mest",
        "gmp",
        "gmp per layer",
        "lth",
        "topkast",
    ];
    for (name, method) in named(&names) {
        let (mut heads, mut sparsity) = attach(&method);
        let mut optim = plain();
        let start = live_sets(&sparsity);
        for step in 0..12 {
            let loss = |heads: &Heads| heads.loss(Uses::Main, step);
            (heads, _) = optim.step_with(0.05, heads, &mut sparsity, loss).unwrap();
            check_dead(&heads, &sparsity, name);
            // A ticket loses ⌈rate · live⌉ weights a level, which the closed form rounds once.
            let rounding = usize::from(name == "lth");
            let live = sparsity.masks().live_weights();
            let off = live.abs_diff(budget(&sparsity, step + 1));
            assert!(off <= rounding, "{name}, step {step}: {live}");
        }
        // Top-KAST's unused layer has only decayed, all of it alike.
        let moved = live_sets(&sparsity)["aux.weight"] != start["aux.weight"];
        assert!(moved || name == "topkast", "{name}");
        let warnings = sparsity.report(&heads).warnings();
        assert!(
            !warnings.iter().any(|line| line.contains("gradient")),
            "{name}"
        );
    }
}

/// Two heads in turn under methods that grow by gradient: the one without a gradient in the step that changes
/// masks exchanges nothing, the others do, and the report counts.
#[test]
fn a_layer_without_a_gradient_exchanges_nothing() {
    let mest = Mest::em(0.8)
        .over(12)
        .every(3)
        .with_growth(MestGrowth::Gradient);
    let cases: Vec<(&str, Method)> = vec![
        ("rigl", Method::RigL(RigL::new(0.8).until(12).every(3))),
        ("svite", Method::Svite(Svite::new(0.8).every(3).until(12))),
        ("mest", Method::Mest(mest.with_lambda(0.5))),
    ];
    for (name, method) in cases {
        let (mut heads, mut sparsity) = attach(&method);
        let mut optim = plain();
        let total = sparsity.masks().live_weights();
        let (mut moved, mut passed_by) = (BTreeMap::<String, u64>::new(), 0);
        for step in 0..12 {
            let uses = if step % 2 == 0 { Uses::Main } else { Uses::Aux };
            let unused = if step % 2 == 0 {
                "aux.weight"
            } else {
                "main.weight"
            };
            let before = live_sets(&sparsity);
            let loss = |heads: &Heads| heads.loss(uses, step);
            let (next, report) = optim.step_with(0.05, heads, &mut sparsity, loss).unwrap();
            heads = next;
            passed_by += u64::from(report.mask_update.is_some() && unused == "aux.weight");
            for (path, live) in live_sets(&sparsity) {
                let changed = live != before[&path];
                assert!(!changed || path != unused, "{name}, step {step}: {path}");
                *moved.entry(path).or_default() += u64::from(changed);
            }
            assert_eq!(
                sparsity.masks().live_weights(),
                total,
                "{name}, step {step}"
            );
        }
        assert!(moved.values().all(|count| *count > 0), "{name}: {moved:?}");
        let warnings = sparsity.report(&heads).warnings();
        let counted = format!("`aux.weight` got no gradient in {passed_by} change");
        assert!(
            warnings.iter().any(|line| line.contains(&counted)),
            "{name}: {warnings:?}"
        );
    }
}

/// A method that remembers gradients goes by those.
#[test]
fn a_remembered_gradient_will_do() {
    let summed = RigL::new(0.8).until(12).every(3);
    let summed = summed.with_memory(GradientMemory::Sum { steps: 2 });
    let cases = [
        Method::RigL(summed),
        Method::Snfs(Snfs::new(0.8).every(3).until(12)),
    ];
    for method in cases {
        let (mut heads, mut sparsity) = attach(&method);
        let mut optim = plain();
        let total = sparsity.masks().live_weights();
        let start = live_sets(&sparsity);
        for step in 0..4 {
            let uses = if step % 2 == 0 { Uses::Main } else { Uses::Aux };
            let loss = |heads: &Heads| heads.loss(uses, step);
            (heads, _) = optim.step_with(0.05, heads, &mut sparsity, loss).unwrap();
        }
        for (path, live) in live_sets(&sparsity) {
            assert_ne!(live, start[&path], "{path}");
        }
        assert_eq!(sparsity.masks().live_weights(), total);
        assert!(sparsity.report(&heads).warnings().is_empty());
    }
}

/// What moves weights between layers conserves them, whichever layers sit out.
#[test]
fn redistribution_conserves_the_total() {
    let mut method = Snfs::new(0.8).every(1).until(12);
    method.decay = 0.0;
    let (mut heads, mut sparsity) = attach(&Method::Snfs(method));
    let mut optim = plain();
    let total = sparsity.masks().live_weights();
    for step in 0..12 {
        let before = live_sets(&sparsity);
        let loss = |heads: &Heads| heads.loss(Uses::Main, step);
        (heads, _) = optim.step_with(0.05, heads, &mut sparsity, loss).unwrap();
        assert_eq!(sparsity.masks().live_weights(), total, "step {step}");
        let aux = "aux.weight";
        assert_eq!(live_sets(&sparsity)[aux], before[aux], "step {step}");
    }
}

/// Forward passes that show no descent hand on no gradient.
#[test]
fn staying_where_one_is_ends_no_run() {
    let mest = Mest::em(0.8).over(12).every(3).with_lambda(0.5);
    for method in [
        Method::Set(Set::new(0.8).every(3).until(12)),
        Method::Mest(mest),
    ] {
        let (mut heads, mut sparsity) = attach(&method);
        let estimator = ZoSamConfig::new().with_delta(Delta::Absolute(1e-3));
        let mut optim = ForwardOnly::new(estimator, ForwardRule::Conservative, sgd()).unwrap();
        let total = sparsity.masks().live_weights();
        for step in 0..8 {
            // At this learning rate every step is too long.
            let loss = |heads: &Heads| heads.loss(Uses::Both, step);
            (heads, _) = optim.step_on(1e4, heads, &mut sparsity, loss).unwrap();
        }
        assert_eq!(sparsity.masks().live_weights(), total);
    }
}

/// A loss that depends on no masked layer at all, at the very step that changes masks.
#[test]
fn a_change_that_nobody_takes_part_in_is_none() {
    let (mut heads, mut sparsity) = attach(&Method::RigL(RigL::new(0.8).until(12).every(3)));
    let mut optim = plain();
    let start = live_sets(&sparsity);
    for step in 0..5 {
        let loss = |heads: &Heads| match step {
            3 => heads.main.bias.as_ref().unwrap().val().powi_scalar(2).sum(),
            _ => heads.loss(Uses::Both, step),
        };
        (heads, _) = optim.step_with(0.05, heads, &mut sparsity, loss).unwrap();
    }
    assert_eq!(live_sets(&sparsity), start);
    assert_eq!(sparsity.report(&heads).warnings().len(), 3);
}

/// Before training a score still needs its gradient.
#[test]
fn snip_needs_every_gradient() {
    let mut sparsity = Sparsity::new(zosam::Snip::new(0.5));
    let loss = |heads: &Heads| heads.loss(Uses::Main, 0);
    let error = sparsity.attach(Heads::new(), loss).unwrap_err().error;
    assert!(matches!(error, zosam::Error::NoGradient { path } if path == "aux.weight"));
}
