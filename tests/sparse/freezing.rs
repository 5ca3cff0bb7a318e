//! Layers that are frozen and trained again after their masks were chosen.

use burn::module::ParamGroup;
use zosam::checkpoint::Store;
use zosam::masks::Execution;
use zosam::sparse::{GradualMagnitude, SparsityReport};
use zosam::{RigL, Set};

use super::*;

fn step(optim: &mut Optim, heads: Heads, sparsity: &mut Sparsity, number: u64) -> Heads {
    let loss = |heads: &Heads| heads.loss(Uses::Both, number);
    optim.step_with(0.05, heads, sparsity, loss).unwrap().0
}

const FROZEN: [&str; 2] = ["body.weight", "aux.weight"];

/// Free until step 4, body and one head frozen until step 8, free again until step 12.
#[test]
fn frozen_layers_keep_their_masks_and_the_others_their_budget() {
    for (name, method) in methods().into_iter().skip(1) {
        for (_, config, _) in perturbations(0.05).into_iter().take(3) {
            let (mut heads, mut sparsity) = attach(&method);
            let mut optim = config.init(sgd()).unwrap();
            let mut held = None;
            let mut moved = false;
            for number in 0..12 {
                heads = heads.freeze((4..8).contains(&number));
                heads = step(&mut optim, heads, &mut sparsity, number);
                check_dead(&heads, &sparsity, name);
                let state = (live_sets(&sparsity), bits(&heads));
                match number {
                    3 => held = Some(state),
                    4..8 => {
                        let held = held.as_ref().unwrap();
                        for path in FROZEN {
                            assert_eq!(
                                state.0[path], held.0[path],
                                "{name}, step {number}: {path}"
                            );
                            assert_eq!(
                                state.1[path], held.1[path],
                                "{name}, step {number}: {path}"
                            );
                        }
                        assert_ne!(state.1["main.weight"], held.1["main.weight"], "{name}");
                        let constant = sparsity.method().sparsity_after(0)
                            == sparsity.method().sparsity_after(7);
                        if constant {
                            let live = sparsity.masks().live_weights();
                            assert_eq!(live, budget(&sparsity, 7), "{name}, step {number}");
                        }
                    }
                    _ => {
                        moved |= held.as_ref().is_some_and(|held| {
                            FROZEN.iter().all(|path| state.0[*path] != held.0[*path])
                        })
                    }
                }
            }
            let live = sparsity.masks().live_weights();
            assert_eq!(live, budget(&sparsity, 12), "{name}");
            let fixed = ["random", "snip", "grasp", "synflow", "magnitude"];
            // EM's last change exchanges nothing, and Top-KAST may find the largest where they were.
            let may_rest = ["mest", "topkast"].contains(&name);
            assert!(moved != fixed.contains(&name) || may_rest, "{name}");
        }
    }
}

/// Those that train on are pruned to the density that all would have, not to what the frozen ones leave over.
#[test]
fn pruning_goes_on_in_the_layers_that_train() {
    let method = Method::Gmp(GradualMagnitude::new(0.9).between(0..=6).every(1));
    let (mut heads, mut sparsity) = attach(&method);
    let mut optim = plain();
    heads = heads.freeze(true);
    for number in 0..7 {
        heads = step(&mut optim, heads, &mut sparsity, number);
    }
    let report = sparsity.report(&heads);
    let live = |name: &str| layer(&report, name).live;
    assert_eq!(live("body.weight") + live("aux.weight"), 12 * 20 + 20 * 8);
    assert_eq!(live("main.weight"), 16);
    let frozen: Vec<bool> = report.layers.iter().map(|layer| layer.frozen).collect();
    assert_eq!(frozen, [true, false, true]);
}

fn layer<'a>(report: &'a SparsityReport, name: &str) -> &'a zosam::sparse::LayerReport {
    report
        .layers
        .iter()
        .find(|layer| layer.name == name)
        .unwrap()
}

/// Frozen weights are of the model, in every count of the report.
#[test]
fn the_report_counts_frozen_layers() {
    let (heads, sparsity) = attach(&Method::Set(Set::new(0.8).every(3).until(12)));
    let free = sparsity.report(&heads);
    let frozen = sparsity.report(&heads.freeze(true));
    assert_eq!(free.live_weights, frozen.live_weights);
    assert_eq!(free.prunable_weights, frozen.prunable_weights);
    assert!(frozen.sparsity_over_model() < 1.0);
    // Of the frozen layers the biases are left out: they have no mask.
    assert_eq!(frozen.model_weights + 20 + 8, free.model_weights);
    assert!(frozen.to_string().contains("frozen"));
}

/// Where every masked layer is frozen, a step that would change masks is a step like any other.
#[test]
fn linear_probing_loses_no_step() {
    let rigl = RigL::new(0.8).until(12).every(3);
    let body = ParamGroup::from_path("body.weight");
    let mut sparsity = Sparsity::new(rigl).with_group(body);
    let loss = |heads: &Heads| heads.loss(Uses::Both, 0);
    let mut heads = sparsity.attach(Heads::new(), loss).unwrap();
    heads.body = heads.body.no_grad();
    let mut optim = plain();
    for number in 0..4 {
        let before = bits(&heads);
        let (next, report) = optim
            .step_with(0.05, heads, &mut sparsity, |heads: &Heads| {
                heads.loss(Uses::Both, number)
            })
            .unwrap();
        heads = next;
        assert!(report.mask_update.is_none());
        assert_ne!(bits(&heads)["main.weight"], before["main.weight"]);
    }
}

/// A frozen layer computes with its live weights alone, and passes the right gradient back.
#[test]
fn frozen_layers_compute_sparsely() {
    let run = |execution: Execution| {
        let method = Method::Set(Set::new(0.8).every(3).until(12));
        let (mut heads, sparsity) = attach(&method);
        let mut sparsity = sparsity.with_execution(execution);
        let mut optim = plain();
        heads.main = heads.main.no_grad();
        for number in 0..3 {
            heads = step(&mut optim, heads, &mut sparsity, number);
        }
        let report = sparsity.masks().execution_report();
        let main = report
            .layers
            .into_iter()
            .find(|layer| layer.name == "main.weight");
        let calls = main.map(|layer| layer.sparse.calls);
        (values(&heads), calls)
    };
    let (sparse, calls) = run(Execution::Sparse);
    let (dense, none) = run(Execution::Dense);
    // Three forwards and input gradients; no gradient of a weight that does not move.
    assert_eq!((calls, none), (Some([3, 3, 0]), None));
    // The two sum in another order.
    let pairs = sparse.iter().zip(&dense);
    let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-5, "{off}");
}

fn values(heads: &Heads) -> Vec<f32> {
    let tensors = bits(heads).into_values().flatten();
    tensors.map(f32::from_bits).collect()
}

/// Saved while frozen, and loaded into a model that is frozen before or after: the same run, to the bit.
#[test]
fn checkpoints_of_frozen_layers_resume_exactly() {
    let perturbed = |name: &str| ["none", "zo guided", "s2sam", "fsam"].contains(&name);
    for (name, method) in methods().into_iter().skip(1) {
        for (perturbation, config, _) in perturbations(0.05) {
            if !perturbed(perturbation) {
                continue;
            }
            let what = format!("{name}, {perturbation}");
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path()).unwrap();
            let (mut heads, mut sparsity) = attach(&method);
            let mut optim = config.init(sgd()).unwrap();
            for number in 0..12 {
                heads = heads.freeze((4..8).contains(&number));
                heads = step(&mut optim, heads, &mut sparsity, number);
                if number == 5 {
                    store.save(&heads, &optim, &sparsity, &()).unwrap();
                }
            }
            let saved = store.latest().unwrap().unwrap();
            for frozen_first in [false, true] {
                let mut resumed = contract::unattached(&method);
                let optim = config.init(sgd()).unwrap();
                let fresh = Heads::new().freeze(frozen_first);
                let loaded = store.load::<_, _, _, ()>(&saved, fresh, optim, &mut resumed);
                let (mut again, mut optim, ()) = loaded.unwrap_or_else(|e| panic!("{what}: {e}"));
                for number in 6..12 {
                    again = again.freeze((4..8).contains(&number));
                    again = step(&mut optim, again, &mut resumed, number);
                }
                assert!(bits(&again) == bits(&heads), "{what}, {frozen_first}");
                assert_eq!(live_sets(&resumed), live_sets(&sparsity), "{what}");
            }
        }
    }
}

/// Another selection is refused, frozen or not.
#[test]
fn a_checkpoint_of_another_selection_is_refused() {
    let group = |path: &str| ParamGroup::from_path(path);
    let start = || Sparsity::new(Set::new(0.5).every(3).until(12));
    let loss = |heads: &Heads| heads.loss(Uses::Both, 0);
    let mut sparsity = start().with_group(group("body.weight"));
    let heads = sparsity.attach(Heads::new(), loss).unwrap();
    let parts = sparsity.to_parts().unwrap();
    let frozen = heads.clone().freeze(true);
    for (other, model) in [
        (start(), &heads),
        (start().with_group(group("aux.weight")), &heads),
        (start().with_group(group("aux.weight")), &frozen),
    ] {
        let mut other = other;
        other.load_parts(model, parts.clone()).unwrap_err();
    }
    for model in [&heads, &frozen] {
        let mut same = start().with_group(group("body.weight"));
        same.load_parts(model, parts.clone()).unwrap();
        assert_eq!(same.masks().fingerprint(), sparsity.masks().fingerprint());
    }
}

/// What was frozen when masks were chosen has none, and stays dense when it is trained later.
#[test]
fn layers_frozen_before_stay_dense() {
    let mut sparsity = Sparsity::new(Set::new(0.8).every(3).until(12));
    let mut heads = Heads::new();
    heads.main = heads.main.no_grad();
    let loss = |heads: &Heads| heads.loss(Uses::Both, 0);
    let mut heads = sparsity.attach(heads, loss).unwrap();
    assert_eq!(live_sets(&sparsity).len(), 2);
    heads.main = require_gradients(heads.main, true);
    let mut optim = plain();
    for number in 0..5 {
        heads = step(&mut optim, heads, &mut sparsity, number);
    }
    assert!(bits(&heads)["main.weight"].iter().all(|bits| *bits != 0));
    let mut again = Sparsity::new(Set::new(0.8).every(3).until(12));
    again
        .load_parts(&heads, sparsity.to_parts().unwrap())
        .unwrap();
    assert_eq!(live_sets(&again), live_sets(&sparsity));
}
