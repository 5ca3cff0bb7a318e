//! Budgets that cannot be kept, and methods that are attached again.

use burn::module::ParamGroup;
use zosam::sparse::{Dsr, Mest};
use zosam::{Error, Set};

use super::*;

/// Layers pinned dense beyond the budget are refused when masks are chosen, by every method.
#[test]
fn dense_layers_beyond_the_budget_are_refused() {
    for (name, method) in methods().into_iter().skip(1) {
        // 240 of 560 weights, of which 112 are to live, or 56.
        let body = ParamGroup::from_path("body.weight");
        let mut sparsity = contract::unattached(&method).with_density(body, 1.0);
        let error = sparsity
            .attach_on(Heads::new(), &evidence())
            .unwrap_err()
            .error;
        let Error::Infeasible { reason, .. } = error else {
            panic!("{name}: {error}");
        };
        assert!(reason.contains("take 240 live weights"), "{name}: {reason}");
        // One head fits, and is dense for good.
        let head = ParamGroup::from_path("aux.weight");
        let half = Set::new(0.5).every(3).until(12);
        let mut sparsity = Sparsity::new(half).with_density(head, 1.0);
        let loss = |heads: &Heads| heads.loss(Uses::Both, 0);
        sparsity.attach(Heads::new(), loss).unwrap();
        assert!(live_sets(&sparsity)["aux.weight"].iter().all(|live| *live));
    }
}

/// Also where only a later change of masks would meet the limit.
#[test]
fn budgets_of_later_changes_are_checked_first() {
    // 160 dense weights; 560 · 0.3 = 168 live after a change, 560 · 0.24 = 134 between drop and growth.
    let head = ParamGroup::from_path("aux.weight");
    let mut sparsity = Sparsity::new(Mest::em(0.7).over(100)).with_density(head, 1.0);
    let loss = |heads: &Heads| heads.loss(Uses::Both, 0);
    let error = sparsity.attach(Heads::new(), loss).unwrap_err().error;
    assert!(
        matches!(error, Error::Infeasible { sparsity, .. } if sparsity > 0.75),
        "{error}"
    );
}

/// Nothing of a run survives a second attach: masks, steps, memories, work, or what a method has learnt.
#[test]
fn a_second_attach_starts_afresh() {
    let train = |sparsity: &mut Sparsity, mut heads: Heads| {
        let mut optim = plain();
        for number in 0..8 {
            let loss = |heads: &Heads| heads.loss(Uses::Both, number);
            (heads, _) = optim.step_with(0.05, heads, sparsity, loss).unwrap();
        }
        let parts = sparsity.to_parts().unwrap();
        let report = serde_json::to_string(&sparsity.report(&heads)).unwrap();
        (bits(&heads), live_sets(sparsity), parts.method, report)
    };
    for (name, method) in methods() {
        let (heads, mut sparsity) = attach(&method);
        let first = train(&mut sparsity, heads);
        // Rounds of the first masks set the backend's seed, which nothing here depends on.
        let heads = sparsity.attach_on(Heads::new(), &evidence()).unwrap();
        assert!(train(&mut sparsity, heads) == first, "{name}");
    }
}

/// DSR by name: its threshold adapts, and begins anew.
#[test]
fn thresholds_begin_anew() {
    let dsr = Dsr::new(0.8).every(1).until(12).with_threshold(1e-6);
    let mut sparsity = Sparsity::new(dsr);
    let loss = |heads: &Heads| heads.loss(Uses::Both, 0);
    let mut heads = sparsity.attach(Heads::new(), loss).unwrap();
    let mut optim = plain();
    for _ in 0..4 {
        (heads, _) = optim.step_with(0.05, heads, &mut sparsity, loss).unwrap();
    }
    assert_ne!(sparsity.method().state(), serde_json::Value::Null);
    sparsity.attach(heads, loss).unwrap();
    assert_eq!(sparsity.method().state(), serde_json::Value::Null);
}
