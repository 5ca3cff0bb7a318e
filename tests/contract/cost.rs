//! Law 7: passes are those documented.

use std::cell::Cell;

use super::setup::*;

#[test]
fn passes_are_as_documented() {
    let _turn = alone();
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
