//! Masks that are given, not chosen: fine-tuning, and methods that start from them.

use burn::module::ParamGroup;
use zosam::masks::Masks;
use zosam::sparse::{Granularity, LotteryTicket};
use zosam::{Dsr, Error, GradualMagnitude, Keep, RigL, Set, Snip, SparsityMethod};

use super::*;

const STATIC: [&str; 6] = ["dense", "random", "snip", "grasp", "synflow", "magnitude"];

fn loss(heads: &Heads) -> Tensor<1> {
    heads.loss(Uses::Both, 0)
}

fn train(optim: &mut Optim, mut heads: Heads, sparsity: &mut Sparsity, steps: u64) -> Heads {
    for number in 0..steps {
        let loss = |heads: &Heads| heads.loss(Uses::Both, number);
        (heads, _) = optim.step_with(0.05, heads, sparsity, loss).unwrap();
        check_dead(&heads, sparsity, sparsity.plan().name);
    }
    heads
}

/// A net that another method has made sparse.
fn pruned() -> (Heads, Sparsity) {
    let (heads, mut sparsity) = attach(&Method::Dsr(
        Dsr::new(0.8).every(2).until(9).with_threshold(0.05),
    ));
    let heads = train(&mut plain(), heads, &mut sparsity, 12);
    (heads, sparsity)
}

/// Masks that say dead wherever a position of the named weights is a multiple of `every`, or all but the first.
fn striped(paths: &[&str], every: usize) -> Masks {
    let heads = Heads::new();
    let leaves = tree::leaves(&heads);
    let heads = tree::replace(heads, |id, value| {
        let leaf = leaves.iter().find(|leaf| leaf.id == id).unwrap();
        let keep = |i: usize| {
            f32::from(u8::from(
                !paths.contains(&leaf.path.as_str()) || !i.is_multiple_of(every),
            ))
        };
        let keep: Vec<f32> = (0..leaf.len()).map(keep).collect();
        let ones = value.ones_like();
        Some(ones * Tensor::from_floats(keep.as_slice(), &value.device()))
    });
    Masks::from_nonzeros(&heads)
}

/// What fine-tuning is: the same live positions, from masks, from a model's zeros, or by name.
#[test]
fn kept_masks_never_change() {
    // Before training no live weight is zero.
    let fresh = attach(&Method::Set(Set::new(0.8).every(3).until(12)));
    for ((heads, sparsity), zeros_tell) in [(fresh, true), (pruned(), false)] {
        let masks = || sparsity.masks().clone();
        let by_name = || Sparsity::from_boxed(Method::Keep(Keep::new()).boxed());
        let mut kept = vec![
            Sparsity::from_masks(masks()),
            by_name().starting_from(masks()),
        ];
        if zeros_tell {
            kept.push(Sparsity::from_masks(Masks::from_nonzeros(&heads)));
            kept.push(by_name());
        }
        for mut kept in kept {
            let before = bits(&heads);
            let unneeded = |_: &Heads| -> Tensor<1> { panic!("no loss is needed") };
            let heads = kept.attach(heads.clone(), unneeded).unwrap();
            assert!(bits(&heads) == before);
            let heads = train(&mut plain(), heads, &mut kept, 6);
            assert!(bits(&heads)["main.weight"] != before["main.weight"]);
            assert_eq!(kept.masks().fingerprint(), masks().fingerprint());
            let report = kept.report(&heads);
            assert_eq!(report.target_sparsity, report.sparsity_over_prunable());
        }
    }
    let method = serde_json::to_string(&Method::Keep(Keep::new())).unwrap();
    assert_eq!(method, r#"{"keep":{}}"#);
}

/// Masks go by parameter id and, in another model of the same layers, by path; its dead weights are zeroed.
#[test]
fn masks_fit_another_model_of_the_same_layers() {
    let (_, sparsity) = pruned();
    let mut kept = Sparsity::from_masks(sparsity.masks().clone());
    let heads = kept.attach(Heads::new(), loss).unwrap();
    check_dead(&heads, &kept, "keep");
    assert_eq!(live_sets(&kept), live_sets(&sparsity));
    // A frozen layer, too.
    let frozen = Heads::new().freeze(true);
    let heads = kept.attach(frozen, loss).unwrap();
    check_dead(&heads, &kept, "keep");
    assert_eq!(live_sets(&kept), live_sets(&sparsity));
    assert!(
        !tree::leaves(&heads)
            .iter()
            .any(|leaf| leaf.path == "body.weight")
    );
}

/// A method that starts from its own first masks is the method, to the bit.
#[test]
fn a_methods_own_first_masks_change_nothing() {
    for (name, method) in methods() {
        if STATIC.contains(&name) {
            continue;
        }
        let (heads, mut sparsity) = attach(&method);
        let first = sparsity.masks().clone();
        let expected = bits(&train(&mut plain(), heads, &mut sparsity, 12));
        let mut given = contract::unattached(&method).starting_from(first);
        let heads = given.attach_on(Heads::new(), &evidence()).unwrap();
        let found = bits(&train(&mut plain(), heads, &mut given, 12));
        assert!(found == expected, "{name}");
        assert_eq!(live_sets(&given), live_sets(&sparsity), "{name}");
    }
}

/// Every method that changes masks goes on from somebody else's, and comes to its budget.
#[test]
fn dynamic_methods_go_on_from_given_masks() {
    for (name, method) in methods() {
        let (heads, first) = pruned();
        let masks = first.masks().clone();
        let (fingerprint, live) = (masks.fingerprint(), masks.live_weights());
        let mut sparsity = contract::unattached(&method).starting_from(masks);
        let attached = sparsity.attach_on(heads, &evidence());
        if STATIC.contains(&name) {
            let message = attached.unwrap_err().to_string();
            assert!(
                message.contains(name) && message.contains("`Keep`"),
                "{message}"
            );
            continue;
        }
        let heads = attached.unwrap();
        assert_eq!(sparsity.masks().fingerprint(), fingerprint, "{name}");
        train(&mut plain(), heads, &mut sparsity, 12);
        // What only prunes finds the net as sparse as it is to be.
        let same = sparsity.masks().fingerprint() == fingerprint;
        assert_eq!(same, ["gmp", "lth"].contains(&name), "{name}");
        assert_eq!(sparsity.masks().live_weights(), live, "{name}");
        assert_eq!(live, budget(&sparsity, 12), "{name}");
    }
}

/// The masks' counts stay under a method that exchanges within layers, whatever its distribution.
#[test]
fn the_masks_win_over_the_distribution() {
    let masks = striped(&["body.weight", "aux.weight"], 2);
    let counts = |sparsity: &Sparsity| -> Vec<usize> {
        live_sets(sparsity)
            .values()
            .map(|live| live.iter().filter(|live| **live).count())
            .collect()
    };
    let rigl = RigL::new(0.5).until(12).every(3);
    let mut sparsity = Sparsity::new(rigl).starting_from(masks);
    let heads = sparsity.attach(Heads::new(), loss).unwrap();
    // The third layer has no mask: it is dense.
    assert_eq!(counts(&sparsity), [80, 120]);
    let heads = train(&mut plain(), heads, &mut sparsity, 12);
    assert_eq!(counts(&sparsity), [80, 120]);
    assert!(bits(&heads)["main.weight"].iter().all(|bits| *bits != 0));
}

/// Pruning goes on from half to nine tenths.
#[test]
fn pruning_starts_from_anything_denser() {
    let all = ["body.weight", "main.weight", "aux.weight"];
    let pruning: [Box<dyn SparsityMethod>; 2] = [
        Box::new(GradualMagnitude::new(0.9).between(1..=7).every(2)),
        Box::new(LotteryTicket::new(0.9).with_level_steps(2).with_rate(0.5)),
    ];
    for method in pruning {
        let mut sparsity = Sparsity::from_boxed(method).starting_from(striped(&all, 2));
        let heads = sparsity.attach(Heads::new(), loss).unwrap();
        let start = live_sets(&sparsity);
        train(&mut plain(), heads, &mut sparsity, 9);
        assert_eq!(sparsity.masks().live_weights(), 56);
        for (path, live) in live_sets(&sparsity) {
            assert!(
                live.iter()
                    .zip(&start[&path])
                    .all(|(now, then)| !now || *then)
            );
        }
    }
}

/// Other classes: the new classifier has no mask, the rest keeps its own.
#[test]
fn a_group_adds_dense_weights() {
    let masks = || striped(&["body.weight"], 4);
    let group = ParamGroup::from_paths(vec!["body.weight", "aux.weight"]);
    let mut sparsity = Sparsity::from_masks(masks()).with_group(group);
    let heads = sparsity.attach(Heads::new(), loss).unwrap();
    let report = sparsity.report(&heads);
    assert_eq!(
        (report.live_weights, report.prunable_weights),
        (180 + 160, 400)
    );
}

#[test]
fn masks_that_do_not_fit_are_refused() {
    let all = ["body.weight", "main.weight", "aux.weight"];
    let refused = |mut sparsity: Sparsity| {
        let error = sparsity.attach(Heads::new(), loss).unwrap_err().error;
        assert!(!matches!(error, Error::NotAttached));
        error.to_string()
    };
    let half = || striped(&all, 2);
    let set = |sparsity| Sparsity::new(Set::new(sparsity).every(3).until(12));

    // Another sparsity; denser than a method that prunes may begin, sparser than it ends.
    let message = refused(set(0.9).starting_from(half()));
    assert!(
        message.contains("0.9 of `set`") && message.contains("0.5000"),
        "{message}"
    );
    refused(set(0.4).starting_from(half()));
    set(0.49)
        .starting_from(half())
        .attach(Heads::new(), loss)
        .unwrap();
    let gmp = |sparsity| Sparsity::new(GradualMagnitude::new(sparsity).between(0..=9).every(3));
    refused(gmp(0.3).starting_from(half()));

    // Units and densities of single layers.
    let main = || ParamGroup::from_path("main.weight");
    let two_of_four = Granularity::NOfM { live: 2, of: 4 };
    let message = refused(
        set(0.5)
            .starting_from(half())
            .with_granularity(main(), two_of_four),
    );
    assert!(
        message.contains("`main.weight`: it is not 2:4"),
        "{message}"
    );
    let message = refused(set(0.5).starting_from(half()).with_density(main(), 1.0));
    assert!(message.contains("80 of 160 are live"), "{message}");

    // Weights that the group leaves out, that are not there, or of another shape.
    let message = refused(set(0.5).starting_from(half()).with_group(main()));
    assert!(message.contains("`body.weight`: the group"), "{message}");
    let mut layer = drawn(LinearConfig::new(4, 4).init(&device()));
    layer = tree::replace(layer, |_, value| Some(value.zeros_like()));
    let message = refused(Sparsity::from_masks(Masks::from_nonzeros(&layer)));
    assert!(
        message.contains("`weight`: the model has no such"),
        "{message}"
    );
    let mut heads = Heads::new();
    heads.main = Linear::from(drawn(LinearConfig::new(20, 9).init(&device())));
    let error = set(0.5)
        .starting_from(half())
        .attach(heads, loss)
        .unwrap_err();
    assert!(
        error.to_string().contains("[20, 8], the weight of [20, 9]"),
        "{error}"
    );

    // Nothing to keep, or nothing left to choose.
    let message = refused(Sparsity::from_masks(Masks::dense()));
    assert!(message.contains("no live weight"), "{message}");
    let message = refused(Sparsity::new(Keep::new()));
    assert!(message.contains("starting_from"), "{message}");
    let message = refused(Sparsity::new(Snip::new(0.5)).starting_from(half()));
    assert!(message.contains("`Keep`"), "{message}");
    let message = refused(Sparsity::dense().starting_from(half()));
    assert!(message.contains("`Keep`"), "{message}");
}

/// Checkpoints know that masks were given, and need not be given them again.
#[test]
fn kept_masks_resume() {
    let masks = || striped(&["body.weight"], 4);
    let mut sparsity = Sparsity::from_masks(masks());
    let heads = sparsity.attach(Heads::new(), loss).unwrap();
    let heads = train(&mut plain(), heads, &mut sparsity, 3);
    let parts = sparsity.to_parts().unwrap();
    for mut again in [Sparsity::from_masks(masks()), Sparsity::new(Keep::new())] {
        again.load_parts(&heads, parts.clone()).unwrap();
        assert_eq!(again.masks().fingerprint(), sparsity.masks().fingerprint());
        assert_eq!(again.plan().sparsity, 0.25);
    }
}
