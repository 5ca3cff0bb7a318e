//! The laws for optimizers without a backward pass.

use burn::module::{Module, ParamGroup};
use burn::optim::{AdamConfig, Optimizer, SgdConfig};
use zosam::objective::Objective;
use zosam::optim::{ForwardOnly, ForwardRule};
use zosam::perturb::*;
use zosam::{RandomStatic, RigL, Set, Sparsity, tree};

use super::setup::*;

fn estimator() -> ZoSamConfig {
    ZoSamConfig::new().with_delta(Delta::Absolute(1e-3))
}

fn run<O: Optimizer>(mut optim: ForwardOnly<O>, sparsity: &mut Sparsity, what: &str) -> Net {
    let batch = Batch::new(0);
    let mut net = sparsity
        .attach_on(Net::new(&device()), &batch.evidence())
        .unwrap();
    for number in 0..8 {
        let batch = Batch::new(number);
        let loss = |net: &Net| batch.loss(net);
        let (next, report) = optim.step_on(1e-3, net, sparsity, loss).unwrap();
        net = next;
        assert_eq!(report.passes.backwards, 0, "{what}");
        assert_eq!(report.plain, None, "{what}");
        let weights = tree::values(&net);
        let live = sparsity.masks().project(weights.clone());
        assert_eq!(live.add_scaled(&weights, -1.0).norm(), 0.0, "{what}");
    }
    assert_eq!(optim.optimizer().steps(), 8);
    net
}

/// Laws 6 and 9: dead weights stay dead, whatever the base optimizer and the rule, and runs repeat.
#[test]
fn training_by_forward_passes_stays_in_the_live_subspace() {
    let adamm = || AdamConfig::new().with_amsgrad(true).build();
    for rule in [
        ForwardRule::Estimate,
        ForwardRule::Sign,
        ForwardRule::Conservative,
    ] {
        let what = format!("{rule:?}");
        let with = |seed: u64| {
            let mut sparsity = Sparsity::new(Set::new(0.8).every(3).until(12)).with_seed(3);
            let optim = ForwardOnly::new(estimator(), rule, sgd()).unwrap();
            bits(&run(
                optim.with(|optim| optim.with_seed(seed)),
                &mut sparsity,
                &what,
            ))
        };
        assert!(with(1) == with(1) && with(1) != with(2), "{what}");
        let mut sparsity = Sparsity::new(RandomStatic::new(0.9));
        let optim = ForwardOnly::new(estimator().with_directions(2), rule, adamm()).unwrap();
        run(optim, &mut sparsity, &what);
    }
}

/// The sign rule moves every live weight that has a direction by the learning rate.
#[test]
fn signs_move_by_the_learning_rate() {
    let net = Net::new(&device());
    let before = tree::values(&net);
    let sgd = SgdConfig::new().build();
    let mut optim = ForwardOnly::new(estimator(), ForwardRule::Sign, sgd).unwrap();
    let batch = Batch::new(0);
    let loss = |net: &Net| batch.loss(net);
    let result = optim.step_on(0.25, net, &mut Sparsity::dense(), loss);
    let moved = tree::values(&result.unwrap().0).add_scaled(&before, -1.0);
    for (_, component) in moved.iter() {
        let sizes: Vec<f32> = component.to_data().iter::<f32>().collect();
        assert!(sizes.iter().all(|size| (size.abs() - 0.25).abs() < 1e-5));
    }
}

/// Whatever the learning rate, the conservative rule does not raise the loss of the batch that it saw.
#[test]
fn conservative_steps_do_not_climb() {
    for lr in [1e-3, 1.0, 100.0] {
        // Without dropout, whose draws here are not those of the step.
        let dropout = ParamGroup::from_predicate("dropout");
        let mut net = Net::new(&device()).freeze_group(dropout);
        let sgd = SgdConfig::new().build();
        let mut optim = ForwardOnly::new(estimator(), ForwardRule::Conservative, sgd).unwrap();
        for number in 0..5 {
            let batch = Batch::new(number);
            let loss = |net: &Net| batch.loss(net);
            let before = Objective::new(&net, loss, 9).value(None);
            let (next, _) = optim
                .step_on(lr, net, &mut Sparsity::dense(), loss)
                .unwrap();
            net = next;
            let after = Objective::new(&net, loss, 9).value(None);
            assert!(after <= before, "{lr}: {before} to {after}");
        }
    }
}

/// What cannot work is refused by name.
#[test]
fn what_needs_gradients_is_refused() {
    let guided = estimator().with_family(Directions::Guided(Guide::default()));
    for bad in [
        guided,
        estimator().with_reuse(2),
        estimator().with_fraction(0.5),
    ] {
        assert!(ForwardOnly::new(bad, ForwardRule::Estimate, sgd()).is_err());
    }
    let batch = Batch::new(0);
    let mut sparsity = Sparsity::new(RigL::new(0.8).until(12));
    let net = sparsity
        .attach_on(Net::new(&device()), &batch.evidence())
        .unwrap();
    let mut optim = ForwardOnly::new(estimator(), ForwardRule::Estimate, sgd()).unwrap();
    let result = optim.step_on(0.1, net, &mut sparsity, |net: &Net| batch.loss(net));
    assert!(
        result
            .map(drop)
            .unwrap_err()
            .to_string()
            .contains("gradient")
    );
}
