//! Lottery tickets: what a level leaves behind, and what it does not.

use burn::optim::Optimizer;
use zosam::SharpnessConfig;
use zosam::sparse::{LotteryTicket, Method, Perturbed};
use zosam::tree;

use super::setup::*;

fn live_sets(sparsity: &zosam::Sparsity) -> Vec<Vec<bool>> {
    let masks = sparsity.masks();
    masks
        .leaves()
        .map(|leaf| masks.live_set(leaf.id).unwrap())
        .collect()
}

fn sparse_values(net: &Net, sparsity: &zosam::Sparsity) -> Vec<Vec<f32>> {
    let values = tree::values(net);
    let masks = sparsity.masks();
    masks
        .leaves()
        .map(|leaf| values.get(leaf.id).unwrap().to_data().try_to_vec().unwrap())
        .collect()
}

/// After a level, everything is what it was at the rewind step, but for the weights that died: those of least
/// magnitude in the net that the level had trained. A fresh optimizer and the same step of the schedule follow.
#[test]
fn a_level_ends_at_the_rewind_step() {
    fn check<O: Optimizer>(base: O) {
        let method = LotteryTicket::new(0.6)
            .with_level_steps(5)
            .with_rewind(2)
            .with_rate(0.3);
        assert_eq!((method.levels(), method.total_steps()), (3, 5 + 3 * 3));
        let (net, mut sparsity) = attach(&Method::Lth(method), Net::new(&device()));
        let mut optim = SharpnessConfig::None.init(base.clone()).unwrap();
        let net = train(&mut optim, net, &mut sparsity, 0..2);
        let rewind_point = bits(&net);
        // Without the last step of the level, whose end prunes.
        let net = train(&mut optim, net, &mut sparsity, 2..4);
        let dense = Method::Dense(Default::default());
        let (_, mut none) = attach(&dense, Net::new(&device()));
        let mut twin = optim.clone();
        let trained = train(&mut twin, tree::twin(&net), &mut none, 4..5);
        let trained = sparse_values(&trained, &sparsity);
        let net = train(&mut optim, net, &mut sparsity, 4..5);

        let live = live_sets(&sparsity);
        let total: usize = live.iter().map(Vec::len).sum();
        let kept = live.iter().flatten().filter(|live| **live).count();
        assert_eq!(kept, total - (0.3 * total as f64).ceil() as usize);
        let magnitudes = |alive: bool| {
            let pairs = trained.iter().flatten().zip(live.iter().flatten());
            pairs
                .filter(move |(_, live)| **live == alive)
                .map(|(value, _)| value.abs())
        };
        let largest_dead = magnitudes(false).fold(0.0, f32::max);
        assert!(magnitudes(true).all(|value| value >= largest_dead));

        let sets: Vec<_> = sparsity
            .masks()
            .leaves()
            .map(|leaf| leaf.path.clone())
            .collect();
        for ((path, now), (_, then)) in bits(&net).into_iter().zip(rewind_point) {
            match sets.iter().position(|sparse| *sparse == path) {
                None => assert!(now == then, "{path}"),
                Some(layer) => {
                    let then = then.iter().zip(&live[layer]);
                    let expected: Vec<u32> = then
                        .map(|(bits, live)| if *live { *bits } else { 0 })
                        .collect();
                    assert!(now == expected, "{path}");
                }
            }
        }
        // Training goes on as with an optimizer that never took a step, from step 2 of the schedule.
        assert_eq!(sparsity.schedule_step(optim.steps()), 2);
        let fresh = SharpnessConfig::None.init(base).unwrap();
        assert!(optim.to_bytes().unwrap().to_vec() == fresh.to_bytes().unwrap().to_vec());
    }
    check(sgd());
    check(adamw());
}

/// A rewind point of another model is refused when it is loaded, not skipped when it is needed.
#[test]
fn a_foreign_rewind_point_is_refused() {
    let method = Method::Lth(LotteryTicket::new(0.6).with_level_steps(5));
    let (net, mut sparsity) = attach(&method, Net::new(&device()));
    let mut optim = SharpnessConfig::None.init(sgd()).unwrap();
    let net = train(&mut optim, net, &mut sparsity, 0..1);
    let parts = sparsity.to_parts().unwrap();
    let reader = burn_pack::Reader::from_bytes(parts.history.clone()).unwrap();
    let tensors = reader.into_tensors().unwrap().into_iter();
    let without = tensors.filter(|tensor| tensor.name != "rewind/norm.gamma");
    let history = burn_pack::Writer::new(without.collect())
        .into_bytes()
        .unwrap();
    let fresh = || zosam::Sparsity::from_boxed(method.clone().boxed());
    fresh().load_parts(&net, parts.clone()).unwrap();
    let damaged = zosam::sparse::SparsityParts { history, ..parts };
    let error = fresh().load_parts(&net, damaged).unwrap_err();
    assert!(error.to_string().contains("`rewind/norm.gamma`"), "{error}");
}

/// The last level prunes to the budget exactly, and only the ticket is perturbed unless asked otherwise.
#[test]
fn the_ticket_has_the_budget_and_the_perturbation() {
    let method = LotteryTicket::new(0.6).with_level_steps(3).with_rate(0.3);
    let total = method.total_steps();
    for perturbed in [Perturbed::Ticket, Perturbed::Everywhere] {
        let method = Method::Lth(method.clone().with_perturbed(perturbed));
        let (mut net, mut sparsity) = attach(&method, Net::new(&device()));
        let config = SharpnessConfig::Sam(zosam::SamConfig::new().with_rho(0.05));
        let mut optim = config.init(sgd()).unwrap();
        for step in 0..total {
            let batch = Batch::new(sparsity.schedule_step(step));
            let result = optim.step_with(0.05, net, &mut sparsity, |net: &Net| batch.loss(net));
            let (next, report) = result.unwrap();
            net = next;
            let acts = perturbed == Perturbed::Everywhere || step >= total - 3;
            assert_eq!(report.passes.backwards, 1 + u64::from(acts), "step {step}");
            assert_eq!(report.offset.is_some(), acts, "step {step}");
        }
        let prunable = sparsity.masks().prunable_weights() as f64;
        let live = (0.4 * prunable).round() as usize;
        assert_eq!(sparsity.masks().live_weights(), live);
    }
}
