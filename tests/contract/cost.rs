//! Law 7: passes are those documented.

use std::cell::Cell;

use zosam::perturb::*;

use super::setup::*;

#[test]
fn passes_are_as_documented() {
    for (method_name, method) in methods() {
        for (name, config, passes) in perturbations(0.05) {
            // No weight of the dense net has a mask, so there is nothing to perturb.
            if (method_name, name) == ("dense", "zo m=2 sphere sparse") {
                continue;
            }
            let (mut net, mut sparsity) = attach(&method, Net::new(&device()));
            let mut optim = config.init(sgd()).unwrap();
            let mut total = 0;
            for step in 0..5 {
                let batch = Batch::new(step);
                let calls = Cell::new(0);
                let result = optim.step_with(0.05, net, &mut sparsity, |net: &Net| {
                    calls.set(calls.get() + 1);
                    batch.loss(net)
                });
                let (next, report) = result.unwrap();
                net = next;
                assert_eq!(
                    report.passes.forwards,
                    calls.get(),
                    "{name} with {method_name}"
                );
                assert_eq!(report.plain, None, "{name} with {method_name}");
                if let Some((forwards, backwards)) = passes {
                    let made = (report.passes.forwards, report.passes.backwards);
                    assert_eq!(made, (forwards, backwards), "{name} with {method_name}");
                }
                total += calls.get();
            }
            if name == "zo last" {
                assert!(
                    (10..=15).contains(&total),
                    "2 to 3 forwards a step, not {total} in 5"
                );
            }
        }
    }
}

/// The table of docs/PERTURBATIONS.md, row by row: forwards and backwards of ten steps, once memories are full.
#[test]
fn passes_are_those_of_the_guide() {
    let zo = ZoSamConfig::new;
    let zo_sam = SharpnessConfig::ZoSam;
    let guided = || Directions::Guided(Guide::default());
    let part = 1.0 / 6.0;
    let look = LookSamConfig::new().with_every(10);
    let random = |coin| SharpnessConfig::RandomSign(RandomSignConfig::new().with_coin(coin));
    for (name, config, passes) in [
        ("none", SharpnessConfig::None, (10, 10)),
        ("sam", SharpnessConfig::Sam(SamConfig::new()), (20, 20)),
        ("asam", SharpnessConfig::Asam(AsamConfig::new()), (20, 20)),
        ("gsam", SharpnessConfig::Gsam(GsamConfig::new()), (20, 20)),
        (
            "fsam",
            SharpnessConfig::FriendlySam(FriendlySamConfig::new()),
            (20, 20),
        ),
        ("wsam", SharpnessConfig::Wsam(WsamConfig::new()), (20, 20)),
        (
            "fisher-sam",
            SharpnessConfig::FisherSam(FisherSamConfig::new()),
            (20, 20),
        ),
        ("esam", SharpnessConfig::Esam(EsamConfig::new()), (30, 20)),
        ("looksam", SharpnessConfig::LookSam(look), (11, 11)),
        (
            "s2sam",
            SharpnessConfig::S2Sam(S2SamConfig::new()),
            (10, 10),
        ),
        (
            "msam",
            SharpnessConfig::MomentumSam(MomentumSamConfig::new()),
            (10, 10),
        ),
        ("zo-sam", zo_sam(zo()), (20, 10)),
        (
            "zo-sam on a quarter",
            zo_sam(zo().with_fraction(0.25)),
            (30, 10),
        ),
        ("zo-sam reused", zo_sam(zo().with_reuse(5)), (12, 10)),
        ("guided", zo_sam(zo().with_family(guided())), (20, 10)),
        (
            "forecast",
            zo_sam(zo().with_family(guided()).with_directions(0)),
            (10, 10),
        ),
        (
            "guided, 3 on a sixth",
            zo_sam(
                zo().with_family(guided())
                    .with_directions(3)
                    .with_fraction(part),
            ),
            (70, 10),
        ),
        ("random", random(false), (10, 10)),
        ("random-sign", random(true), (10, 10)),
    ] {
        let (mut net, mut sparsity) = attach(&methods()[3].1, Net::new(&device()));
        let mut optim = config.init(sgd()).unwrap();
        let mut made = (0, 0);
        for step in 0..20 {
            let loss = Batch::new(step).samples();
            let report;
            (net, report) = optim.step_on(0.05, net, &mut sparsity, loss).unwrap();
            if step >= 10 {
                made.0 += report.passes.forwards;
                made.1 += report.passes.backwards;
            }
        }
        assert_eq!(made, passes, "{name}");
    }
}
