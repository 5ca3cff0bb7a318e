//! Law 6: dead weights stay dead, and budgets hold.

use burn::optim::{AdamConfig, LionConfig, Optimizer, RmsPropConfig};
use zosam::masks::LiveSet;
use zosam::sparse::{Budget, Growth, Method, Plan, Snfs, Sparsity, UpdateSchedule, Weight};
use zosam::{GradualMagnitude, RigL, SamConfig, SharpnessConfig, SparsityMethod, tree};

use super::setup::*;

fn check(net: &Net, sparsity: &Sparsity, what: &str) {
    let values = tree::values(net);
    for leaf in sparsity.masks().leaves() {
        let live = sparsity.masks().live_set(leaf.id).unwrap();
        let values: Vec<f32> = values.get(leaf.id).unwrap().to_data().try_to_vec().unwrap();
        assert!(
            values.iter().all(|value| value.is_finite()),
            "{what}: {}",
            leaf.path
        );
        let mut dead = values.iter().zip(&live).filter(|(_, live)| !**live);
        // Bits, so that −0 does not pass for 0.
        assert!(
            dead.all(|(value, _)| value.to_bits() == 0),
            "{what}: {}",
            leaf.path
        );
        let counted = live.iter().filter(|live| **live).count();
        assert_eq!(
            Some(counted),
            sparsity.masks().live(leaf.id),
            "{what}: {}",
            leaf.path
        );
    }
}

fn run<O: Optimizer>(base: O, base_name: &str) {
    for (method_name, method) in methods() {
        for (name, config, _) in perturbations(0.05) {
            let (mut net, mut sparsity) = attach(&method, Net::new(&device()));
            let total = sparsity.masks().prunable_weights() as f64;
            let mut optim = config.init(base.clone()).unwrap();
            let mut exchanged = 0;
            let mut before = sparsity.masks().live_weights();
            for step in 0..8 {
                let batch = Batch::new(step);
                let result = optim.step_with(0.05, net, &mut sparsity, |net: &Net| batch.loss(net));
                let (next, report) = result.unwrap();
                net = next;
                let what = format!("{base_name}, {method_name}, {name}, step {step}");
                check(&net, &sparsity, &what);
                let share = 1.0 - sparsity.method().sparsity_after(step + 1);
                let budget = (share * total).round() as usize;
                let live = sparsity.masks().live_weights();
                // A ticket loses ⌈rate · live⌉ weights a level, which the closed form rounds once.
                let rounding = usize::from(method_name == "lth");
                assert!(
                    live.abs_diff(budget) <= rounding,
                    "{what}: {live}, {budget}"
                );
                let due = sparsity.method().is_due(step);
                assert_eq!(report.mask_update.is_some(), due, "{what}");
                if let Some(update) = report.mask_update {
                    assert_eq!(before + update.grown - update.dropped, live, "{what}");
                    exchanged += update.grown + update.dropped;
                }
                before = live;
            }
            let fixed = ["dense", "random", "snip", "grasp", "synflow", "magnitude"];
            let is_static = fixed.contains(&method_name);
            assert_eq!(exchanged > 0, !is_static, "{method_name}");
        }
    }
}

#[test]
fn dead_weights_are_zero_under_sgd() {
    run(sgd(), "sgd");
}

#[test]
fn dead_weights_are_zero_under_adamw() {
    run(adamw(), "adamw");
}

/// A layer of which nothing is left, in the middle of training: what a perturbation remembers of it is no obstacle.
#[test]
fn a_layer_may_die() {
    for (name, config, _) in perturbations(0.05) {
        let mut net = Net::new(&device());
        // Smaller than all the other weights, so that pruning over all layers takes them first.
        net.conv.weight = net
            .conv
            .weight
            .map(|weight| (weight * 1e-4).detach().require_grad());
        let gradual = GradualMagnitude::new(0.8)
            .between(0..=4)
            .every(2)
            .with_budget(Budget::Global);
        let mut sparsity = Sparsity::new(gradual);
        let batch = Batch::new(0);
        let loss = |net: &Net| batch.loss(net);
        let mut net = sparsity.attach(net, loss).unwrap();
        let mut optim = config.init(sgd()).unwrap();
        for _ in 0..12 {
            // Too small a rate for the weights to grow before they are pruned.
            (net, _) = optim.step_with(1e-9, net, &mut sparsity, loss).unwrap();
        }
        let conv = net.conv.weight.id;
        assert_eq!(sparsity.masks().live(conv), Some(0), "{name}");
        check(&net, &sparsity, name);
    }
}

/// The state of every burn optimizer is zero at dead and freshly grown weights.
#[test]
fn optimizer_state_is_fresh_after_a_mask_change() {
    fn state_after<O: Optimizer>(base: O) {
        let (net, mut sparsity) = attach(&methods()[3].1, Net::new(&device()));
        let mut optim = zosam::SharpnessConfig::None.init(base).unwrap();
        let net = train(&mut optim, net, &mut sparsity, 0..3);
        let before: Vec<_> = sparsity
            .masks()
            .leaves()
            .map(|leaf| (leaf.id, sparsity.masks().live_set(leaf.id).unwrap()))
            .collect();
        train(&mut optim, net, &mut sparsity, 3..4);
        let reader = burn_pack::Reader::from_bytes(optim.to_bytes().unwrap()).unwrap();
        let tensors = reader.into_tensors().unwrap();
        let mut seen = 0;
        for (id, live_before) in before {
            let live_now = sparsity.masks().live_set(id).unwrap();
            let of_weight = tensors
                .iter()
                .filter(|tensor| tensor.param_id == Some(id.val()));
            for tensor in of_weight {
                let bytes = tensor.to_bytes().unwrap();
                let values: Vec<f32> = bytes
                    .chunks_exact(4)
                    .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
                    .collect();
                if values.len() != live_now.len() {
                    continue;
                }
                let kept = |i: usize| live_before[i] && live_now[i];
                assert!((0..values.len()).all(|i| kept(i) || values[i] == 0.0));
                assert!((0..values.len()).any(|i| kept(i) && values[i] != 0.0));
                seen += 1;
            }
        }
        assert!(seen >= 2, "both sparse weights have state");
    }
    state_after(sgd());
    state_after(adamw());
    state_after(AdamConfig::new().build());
    state_after(LionConfig::new().build());
    state_after(RmsPropConfig::new().build());
}

/// The live sets after one step that changes masks, and whether live weights moved in it.
fn first_update(
    config: SharpnessConfig,
    growth: Growth,
    steps_too: bool,
) -> (Vec<Vec<bool>>, bool, u64) {
    let schedule = UpdateSchedule {
        begin: 0,
        ..UpdateSchedule::every(1).until(12).with_fraction(0.5)
    };
    let rigl = RigL::new(0.8).with_schedule(schedule);
    let mut sparsity = Sparsity::new(Stepping(rigl, steps_too)).with_growth(growth);
    let batch = Batch::new(1);
    let net = sparsity
        .attach(Net::new(&device()), |net: &Net| batch.loss(net))
        .unwrap();
    let dense = |net: &Net| -> Vec<f32> {
        // The norm's parameters have no mask, so only an optimizer step moves them.
        let named = tree::named_tensors(net).into_iter();
        let norm = named.filter(|(path, _)| path == "norm.gamma");
        norm.flat_map(|(_, data)| data.iter::<f32>().collect::<Vec<_>>())
            .collect()
    };
    let before = dense(&net);
    let mut optim = config.init(sgd()).unwrap();
    let result = optim.step_with(0.05, net, &mut sparsity, |net: &Net| batch.loss(net));
    let (net, report) = result.unwrap();
    let sets = sparsity
        .masks()
        .leaves()
        .map(|leaf| sparsity.masks().live_set(leaf.id).unwrap());
    (
        sets.collect(),
        dense(&net) != before,
        report.passes.backwards,
    )
}

/// RigL with a say in whether the optimizer steps when masks change.
#[derive(Debug)]
struct Stepping(RigL, bool);

impl SparsityMethod for Stepping {
    fn plan(&self) -> Plan {
        Plan::new("stepping", self.0.sparsity).with_steps_when_due(self.1)
    }
    fn validate(&self) -> zosam::Result<()> {
        self.0.validate()
    }
    fn target_densities(&self, shapes: &[Vec<usize>]) -> zosam::Result<Option<Vec<f64>>> {
        self.0.target_densities(shapes)
    }
    fn initial(&mut self, weights: &[Weight], seed: u64) -> zosam::Result<Vec<LiveSet>> {
        self.0.initial(weights, seed)
    }
    fn is_due(&self, step: u64) -> bool {
        self.0.is_due(step)
    }
    fn update(&mut self, step: u64, weights: &[Weight], seed: u64) -> zosam::Result<Vec<LiveSet>> {
        self.0.update(step, weights, seed)
    }
}

/// Growth by the gradient at θ + ε or, for one more pass where there is none yet, by the one at θ.
#[test]
fn growth_uses_the_gradient_asked_for() {
    let plain = first_update(SharpnessConfig::None, Growth::Perturbed, false);
    let far = || SharpnessConfig::Sam(SamConfig::new().with_rho(3.0));
    let clean = first_update(far(), Growth::Clean, false);
    let perturbed = first_update(far(), Growth::Perturbed, false);
    assert!(clean.0 == plain.0 && perturbed.0 != plain.0);
    // SAM has the gradient at θ already.
    assert_eq!((clean.2, perturbed.2), (2, 2));
    let probed = || SharpnessConfig::ZoSam(zosam::ZoSamConfig::new().with_rho(3.0));
    let clean = first_update(probed(), Growth::Clean, false);
    let perturbed = first_update(probed(), Growth::Perturbed, false);
    assert!(clean.0 == plain.0);
    assert_eq!((clean.2, perturbed.2), (2, 1));
    // The plain gradient is the one at θ.
    let clean = first_update(SharpnessConfig::None, Growth::Clean, false);
    assert!(clean.0 == plain.0);
    assert_eq!((clean.2, plain.2), (1, 1));
}

/// The gradient at θ that growth asks for changes nothing else: a method that observes every step, and exchanges
/// nothing in them, gives the same weights either way, whatever the perturbation remembers.
#[test]
fn a_clean_gradient_is_for_growth_alone() {
    let snfs = Method::Snfs(Snfs::new(0.5).every(100).until(1000));
    for (name, config, _) in perturbations(0.05) {
        let ends = [Growth::Perturbed, Growth::Clean].map(|growth| {
            let mut sparsity = unattached(&snfs).with_growth(growth);
            let net = sparsity.attach_on(Net::new(&device()), &Batch::new(0).evidence());
            let mut optim = config.init(sgd()).unwrap().with_seed(5);
            let mut net = net.unwrap();
            for step in 0..6 {
                let loss = Batch::new(step).samples();
                net = optim.step_on(0.05, net, &mut sparsity, loss).unwrap().0;
            }
            bits(&net)
        });
        assert!(ends[0] == ends[1], "{name}");
    }
}

/// RigL's change of masks replaces the optimizer's step; a method may have both.
#[test]
fn a_method_decides_whether_the_optimizer_steps() {
    assert!(!first_update(SharpnessConfig::None, Growth::Perturbed, false).1);
    assert!(first_update(SharpnessConfig::None, Growth::Perturbed, true).1);
}

/// The report's churn and exploration, from the live sets themselves.
#[test]
fn the_report_counts_what_was_tried() {
    for (name, method) in methods().into_iter().skip(1) {
        let (mut net, mut sparsity) = attach(&method, Net::new(&device()));
        let sets = |sparsity: &Sparsity| -> Vec<bool> {
            let leaves = sparsity.masks().leaves();
            leaves
                .flat_map(|leaf| sparsity.masks().live_set(leaf.id).unwrap())
                .collect()
        };
        let mut optim = SharpnessConfig::None.init(sgd()).unwrap();
        let start = sets(&sparsity);
        let (mut ever, mut before) = (start.clone(), start.clone());
        for step in 0..8 {
            let old = sets(&sparsity);
            let fingerprint = sparsity.masks().fingerprint();
            net = train(&mut optim, net, &mut sparsity, step..step + 1);
            let now = sets(&sparsity);
            assert_eq!(
                sparsity.masks().fingerprint() == fingerprint,
                now == old,
                "{name}"
            );
            if sparsity.method().is_due(step) {
                before = old;
            }
            for (ever, now) in ever.iter_mut().zip(&now) {
                *ever |= now;
            }
            let report = sparsity.report(&net);
            let live = now.iter().filter(|live| **live).count() as f64;
            let born = |then: &[bool]| {
                let pairs = then.iter().zip(&now);
                pairs.filter(|(then, now)| **now && !**then).count() as f64 / live
            };
            let tried = ever.iter().filter(|ever| **ever).count() as f64 / ever.len() as f64;
            assert_eq!(report.churn(), born(&before), "{name}");
            assert_eq!(report.churn_since_start(), born(&start), "{name}");
            assert_eq!(report.exploration(), tried, "{name}");
        }
    }
}
