//! Law 6: dead weights stay dead, and budgets hold.

use burn::optim::{AdamConfig, LionConfig, Optimizer, RmsPropConfig};
use zosam::sparse::Sparsity;
use zosam::tree;

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
            let budget = sparsity.masks().live_weights();
            let mut optim = config.init(base.clone()).unwrap();
            let mut exchanged = 0;
            for step in 0..8 {
                let batch = Batch::new(step);
                let result = optim.step_with(0.05, net, &mut sparsity, |net: &Net| batch.loss(net));
                let (next, report) = result.unwrap();
                net = next;
                let what = format!("{base_name}, {method_name}, {name}, step {step}");
                check(&net, &sparsity, &what);
                assert_eq!(sparsity.masks().live_weights(), budget, "{what}");
                let due = method_name == "rigl" && (step == 3 || step == 6);
                assert_eq!(report.mask_update.is_some(), due, "{what}");
                if let Some(update) = report.mask_update {
                    assert_eq!(update.dropped, update.grown, "{what}");
                    exchanged += update.grown;
                }
            }
            assert_eq!(exchanged > 0, method_name == "rigl", "{method_name}");
        }
    }
}

#[test]
fn dead_weights_are_zero_under_sgd() {
    let _turn = alone();
    run(sgd(), "sgd");
}

#[test]
fn dead_weights_are_zero_under_adamw() {
    let _turn = alone();
    run(adamw(), "adamw");
}

/// The state of every burn optimizer is zero at dead and freshly grown weights.
#[test]
fn optimizer_state_is_fresh_after_a_mask_change() {
    let _turn = alone();
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
