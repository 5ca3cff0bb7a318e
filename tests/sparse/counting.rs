//! From which step a method counts, and where it ends.

use zosam::checkpoint::Store;
use zosam::sparse::{LotteryTicket, Mest, MestPhase, Weight};
use zosam::{GradualMagnitude, SparsityMethod};

use super::*;

fn train(
    optim: &mut Optim,
    mut heads: Heads,
    sparsity: &mut Sparsity,
    steps: std::ops::Range<u64>,
) -> Heads {
    for number in steps {
        let loss = |heads: &Heads| heads.loss(Uses::Both, number);
        (heads, _) = optim.step_with(0.05, heads, sparsity, loss).unwrap();
    }
    heads
}

/// An optimizer that has taken steps before.
fn late() -> Optim {
    let mut optim = plain();
    (0..5).for_each(|_| optim.advance());
    optim
}

/// Steps count from the attach: after a dense warm-up with one optimizer a method does what it does from the
/// start of a run.
#[test]
fn a_method_counts_from_its_attach() {
    for (name, method) in methods() {
        let (heads, mut sparsity) = attach(&method);
        let at_once = bits(&train(&mut plain(), heads, &mut sparsity, 0..12));
        let expected = live_sets(&sparsity);
        let (heads, mut sparsity) = attach(&method);
        let later = bits(&train(&mut late(), heads, &mut sparsity, 0..12));
        assert_eq!(live_sets(&sparsity), expected, "{name}");
        assert!(later == at_once, "{name}");
    }
}

/// A resumed run knows when its method was attached.
#[test]
fn late_methods_resume_exactly() {
    for (name, method) in methods() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (heads, mut sparsity) = attach(&method);
        let mut optim = late();
        let heads = train(&mut optim, heads, &mut sparsity, 0..4);
        let saved = store.save(&heads, &optim, &sparsity, &()).unwrap();
        let expected = bits(&train(&mut optim, heads, &mut sparsity, 4..12));
        let mut sparsity = contract::unattached(&method);
        let loaded = store.load::<_, _, _, ()>(&saved, Heads::new(), plain(), &mut sparsity);
        let (heads, mut optim, ()) = loaded.unwrap();
        assert!(
            bits(&train(&mut optim, heads, &mut sparsity, 4..12)) == expected,
            "{name}"
        );
    }
}

/// A ticket attached at step 5 goes back to where it was attached, in weights and in the schedule.
#[test]
fn a_late_ticket_rewinds_to_its_attach() {
    let method = Method::Lth(LotteryTicket::new(0.5).with_level_steps(4).with_rate(0.3));
    let (mut heads, mut sparsity) = attach(&method);
    let point = bits(&heads);
    let (mut optim, mut rewound) = (late(), 0);
    let mut schedule = Vec::new();
    for number in 0..10 {
        schedule.push(sparsity.schedule_step(optim.steps()));
        let loss = |heads: &Heads| heads.loss(Uses::Both, number);
        let (next, report) = optim.step_with(0.05, heads, &mut sparsity, loss).unwrap();
        heads = next;
        if report.mask_update.is_some() {
            rewound += 1;
            let now = bits(&heads);
            for (path, live) in live_sets(&sparsity) {
                let kept = (0..live.len()).filter(|i| live[*i]);
                let mut kept = kept.map(|i| now[&path][i] == point[&path][i]);
                assert!(kept.all(|same| same), "{path}");
            }
        }
    }
    assert_eq!(rewound, 2);
    assert_eq!(schedule, [5, 6, 7, 8, 5, 6, 7, 8, 5, 6]);
}

/// Without a ticket the schedule goes on.
#[test]
fn schedules_of_other_methods_go_on() {
    let (heads, mut sparsity) = attach(&Method::Set(zosam::Set::new(0.8).every(3).until(12)));
    let mut optim = late();
    assert_eq!(sparsity.schedule_step(5), 5);
    train(&mut optim, heads, &mut sparsity, 0..3);
    assert_eq!(sparsity.schedule_step(8), 8);
}

/// An optimizer that begins anew takes the method with it.
#[test]
fn a_new_optimizer_starts_the_count_again() {
    let (heads, mut sparsity) = attach(&Method::Gmp(
        GradualMagnitude::new(0.5).between(3..=3).every(1),
    ));
    let heads = train(&mut late(), heads, &mut sparsity, 0..2);
    let mut optim = plain();
    let heads = train(&mut optim, heads, &mut sparsity, 0..3);
    assert_eq!(
        sparsity.masks().live_weights(),
        sparsity.masks().prunable_weights()
    );
    train(&mut optim, heads, &mut sparsity, 3..4);
    assert_eq!(sparsity.masks().live_weights(), budget(&sparsity, 4));
}

/// Two layers after all of a method's changes.
fn live_at_the_end(method: &mut dyn SparsityMethod, steps: u64) -> usize {
    let values = |n: usize| (0..n).map(|i| ((i * 37) % 101) as f32 + 1.0).collect();
    let mut weights = [[30, 20], [20, 10]].map(|[inputs, outputs]: [usize; 2]| Weight {
        path: format!("{inputs}"),
        shape: vec![inputs, outputs],
        values: values(inputs * outputs),
        live: vec![true; inputs * outputs],
        ..Weight::default()
    });
    method.validate().unwrap();
    let mut live = method.initial(&weights, 1).unwrap();
    let due: Vec<u64> = (0..steps).filter(|step| method.is_due(*step)).collect();
    for step in due {
        for (weight, live) in weights.iter_mut().zip(live) {
            weight.live = live;
        }
        live = method.update(step, &weights, 1).unwrap();
    }
    live.iter().flatten().filter(|live| **live).count()
}

/// Whatever the length of a run and the interval: what was asked for is there at the end.
#[test]
fn methods_with_an_end_reach_what_was_asked() {
    for steps in (0..40).chain([99, 100, 101, 160, 1000]) {
        for every in [1, 2, 3, 5, 7, 33, 50, 99, 100, 5000] {
            let mut ends: Vec<Box<dyn SparsityMethod>> = vec![
                Box::new(Mest::em_s(0.9).over(steps).every(every)),
                Box::new(Mest::em(0.9).over(steps).every(every)),
                Box::new(Mest::em_s(0.9).over(steps)),
            ];
            if steps > 0 {
                ends.push(Box::new(
                    GradualMagnitude::new(0.9)
                        .between(0..=steps - 1)
                        .every(every),
                ));
                ends.push(Box::new(
                    GradualMagnitude::new(0.9)
                        .between(steps / 3..=steps * 3 / 4)
                        .every(every),
                ));
            }
            for method in &mut ends {
                let what = format!("{} over {steps} steps, every {every}", method.plan().name);
                assert_eq!(live_at_the_end(method.as_mut(), steps), 80, "{what}");
                assert_eq!(method.sparsity_after(steps), 0.9, "{what}");
            }
        }
        let mut tickets = LotteryTicket::new(0.9).with_level_steps(steps + 1);
        let steps = tickets.total_steps();
        assert_eq!(live_at_the_end(&mut tickets, steps), 80);
    }
}

/// Phases that end elsewhere, or run backwards, are refused.
#[test]
fn phases_have_to_end_at_the_sparsity() {
    let phase = |until, grow_to| MestPhase {
        until,
        drop_to: 0.9,
        grow_to,
    };
    let with = |phases: Vec<MestPhase>| Mest {
        phases,
        ..Mest::em_s(0.9).over(100)
    };
    let refused = |phases| with(phases).validate().unwrap_err().to_string();
    with(vec![phase(50, 0.8), phase(100, 0.9)])
        .validate()
        .unwrap();
    let message = refused(vec![phase(50, 0.9), phase(100, 0.8)]);
    assert!(message.contains("ends at `sparsity`"), "{message}");
    refused(vec![phase(100, 0.8), phase(50, 0.9)]);
}
