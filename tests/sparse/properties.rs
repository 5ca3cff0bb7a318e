//! Selection and distribution under random shapes, densities and scores.

use proptest::prelude::*;
use zosam::sparse::{
    Budget, Distribution, GradientMagnitude, Magnitude, Saliency, Weight, drop_and_grow, one_shot,
};
use zosam::sparse::{
    Decay, Draw, Exchange, GradientMemory, LotteryTicket, MestGrowth, Method, Parts, Recipe,
    UpdateSchedule,
};
use zosam::{
    Dsr, Error, GradualMagnitude, Mest, Perturbation, RigL, Set, Snfs, Snip, SparsityMethod, Svite,
    ZoSamConfig,
};

/// Values with many ties, zeros of both signs and infinities.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -1.0f32..1.0,
        2 => Just(0.0),
        1 => Just(-0.0),
        2 => prop::sample::select(vec![0.5f32, -0.5]),
        1 => prop::sample::select(vec![f32::INFINITY, f32::NEG_INFINITY]),
    ]
}

fn weight() -> impl Strategy<Value = Weight> {
    prop::collection::vec((value(), value(), any::<bool>()), 1..80).prop_map(|positions| Weight {
        path: "layer.weight".into(),
        shape: vec![positions.len(), 1],
        values: positions
            .iter()
            .map(|p| if p.2 { p.0 } else { 0.0 })
            .collect(),
        gradient: positions.iter().map(|p| p.1).collect(),
        live: positions.iter().map(|p| p.2).collect(),
        ..Weight::default()
    })
}

fn is_infeasible(error: &Error) -> bool {
    matches!(error, Error::Infeasible { .. })
}

fn count(live: &[bool]) -> usize {
    live.iter().filter(|live| **live).count()
}

proptest! {
    #[test]
    fn drop_and_grow_keeps_the_count(weight in weight(), fraction in 0.0f64..=1.0) {
        let new = drop_and_grow(&weight, &Magnitude, &GradientMagnitude, fraction).unwrap();
        prop_assert_eq!(count(&new), count(&weight.live));
        let born = new.iter().zip(&weight.live).filter(|(new, old)| **new && !**old).count();
        prop_assert!(born as f64 <= fraction * count(&weight.live) as f64 + 1e-6);
        // No dead weight with a larger gradient was passed over for a smaller one.
        let grown = (0..new.len()).filter(|i| new[*i] && !weight.live[*i]);
        let passed = (0..new.len()).filter(|i| !new[*i]).map(|i| weight.gradient[i].abs());
        let largest_passed = passed.fold(0.0, f32::max);
        for i in grown {
            prop_assert!(weight.gradient[i].abs() >= largest_passed);
        }
    }

    #[test]
    fn a_global_budget_is_exact(weights in prop::collection::vec(weight(), 1..5), sparsity in 0.0f64..0.99) {
        let total: usize = weights.iter().map(Weight::len).sum();
        let expected = ((1.0 - sparsity) * total as f64).round() as usize;
        // 0 · ∞ is not a number, so score by magnitude here; the error has a test of its own.
        match one_shot(&weights, &Magnitude, sparsity, Budget::Global) {
            Ok(live) => prop_assert_eq!(live.iter().map(|live| count(live)).sum::<usize>(), expected),
            Err(error) => {
                prop_assert!(is_infeasible(&error));
                prop_assert_eq!(expected, 0);
            }
        }
    }

    #[test]
    fn per_layer_budgets_are_those_of_the_distribution(
        weights in prop::collection::vec(weight(), 1..5),
        sparsity in 0.0f64..0.99,
        distribution in prop::sample::select(vec![Distribution::Uniform, Distribution::UniformPlus, Distribution::Er, Distribution::Erk]),
    ) {
        let shapes: Vec<_> = weights.iter().map(|weight| weight.shape.clone()).collect();
        let budget = Budget::PerLayer(distribution);
        match (distribution.live_counts(&shapes, sparsity), one_shot(&weights, &Magnitude, sparsity, budget)) {
            (Ok(expected), Ok(live)) => {
                let found: Vec<usize> = live.iter().map(|live| count(live)).collect();
                prop_assert_eq!(found, expected);
            }
            (Err(_), Err(error)) => prop_assert!(is_infeasible(&error)),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn densities_are_densities_and_meet_the_budget(
        shapes in prop::collection::vec(prop::collection::vec(1usize..40, 2..5), 1..12),
        sparsity in 0.0f64..0.999,
        distribution in prop::sample::select(vec![Distribution::Uniform, Distribution::UniformPlus, Distribution::Er, Distribution::Erk]),
    ) {
        let Ok(densities) = distribution.densities(&shapes, sparsity) else { return Ok(()) };
        prop_assert!(densities.iter().all(|density| *density > 0.0 && *density <= 1.0));
        let live = distribution.live_counts(&shapes, sparsity).unwrap();
        let total: usize = shapes.iter().map(|shape| shape.iter().product::<usize>()).sum();
        // Solved in whole weights, forced-dense layers may exceed the budget by a rounding each.
        let budget = ((1.0 - sparsity) * total as f64).round() as usize;
        let dense: usize = shapes.iter().zip(&densities).filter(|(_, density)| **density >= 1.0)
            .map(|(shape, _)| shape.iter().product::<usize>()).sum();
        prop_assert_eq!(live.iter().sum::<usize>(), budget.max(dense));
        for ((live, density), shape) in live.iter().zip(&densities).zip(&shapes) {
            let total = shape.iter().product::<usize>();
            prop_assert!((1..=total).contains(live));
            prop_assert!(*density < 1.0 || *live == total);
        }
    }
}

proptest! {
    /// Every method that exchanges weights, from masks of its own: the number of live weights is the one announced,
    /// and random scores with ties and infinities break nothing.
    #[test]
    fn every_update_meets_the_budget(
        layers in prop::collection::vec(prop::collection::vec((value(), value()), 8..60), 2..4),
        sparsity in 0.1f64..0.7,
        step in 0u64..40,
    ) {
        let methods: Vec<Box<dyn SparsityMethod>> = vec![
            Box::new(Set::new(sparsity).every(1).until(40).with_distribution(Distribution::Uniform)),
            Box::new(Dsr::new(sparsity).every(1).until(40).with_threshold(0.3)),
            Box::new(RigL::new(sparsity).until(40).every(1)),
            Box::new(Mest::em(sparsity).over(40)),
            Box::new(Mest::em_s(sparsity).over(40).with_lambda(0.3).with_growth(MestGrowth::Gradient)),
            Box::new(Svite::new(sparsity).every(1).until(40)),
            Box::new(Snfs::new(sparsity).every(1).until(40)),
            Box::new(GradualMagnitude::new(sparsity).between(0..=30).every(7)),
            Box::new(LotteryTicket::new(sparsity).with_level_steps(8)),
        ];
        for mut method in methods {
            method.validate().unwrap();
            let mut weights: Vec<Weight> = layers.iter().enumerate().map(|(i, layer)| Weight {
                path: format!("{i}.weight"),
                shape: vec![layer.len(), 1],
                values: layer.iter().map(|p| p.0).collect(),
                gradient: layer.iter().map(|p| p.1).collect(),
                live: vec![true; layer.len()],
                ..Weight::default()
            }).collect();
            let initial = match method.initial(&weights, 1) {
                Ok(initial) => initial,
                Err(error) => {
                    prop_assert!(is_infeasible(&error), "{}: {}", method.plan().name, error);
                    continue;
                }
            };
            for (weight, live) in weights.iter_mut().zip(initial) {
                for (value, live) in weight.values.iter_mut().zip(&live) {
                    *value = if *live { *value } else { 0.0 };
                }
                weight.live = live;
            }
            let before: usize = weights.iter().map(|weight| count(&weight.live)).sum();
            let new = match method.update(step, &weights, 1) {
                Ok(new) => new,
                Err(error) => {
                    prop_assert!(is_infeasible(&error), "{}: {}", method.plan().name, error);
                    continue;
                }
            };
            let total: usize = weights.iter().map(Weight::len).sum();
            let after: usize = new.iter().map(|live| count(live)).sum();
            let nominal = |sparsity: f64| ((1.0 - sparsity) * total as f64).round() as usize;
            let expected = match method.plan().name {
                // One level from the dense net, whatever the step says of the others.
                "lth" => (before - (0.2 * before as f64 - 1e-9).ceil() as usize).max(nominal(sparsity)),
                "gmp" | "mest" | "mest-ems" => {
                    let recipe_due = method.is_due(step);
                    if !recipe_due { continue }
                    nominal(method.sparsity_after(step + 1))
                }
                _ => before,
            };
            let last_level = method.plan().name == "lth" && after == nominal(sparsity).min(before);
            prop_assert!(after == expected || last_level, "{}: {} is not {}", method.plan().name, after, expected);
        }
    }
}

/// Eight positions, small enough to check by hand.
#[test]
fn saliency_ranks_the_product() {
    let weight = Weight {
        path: "w".into(),
        shape: vec![8, 1],
        values: vec![1.0, -2.0, 3.0, 0.5, 0.0, -1.0, 2.0, 0.1],
        gradient: vec![0.1, 0.2, -0.1, 2.0, 9.0, 0.3, -0.05, 1.0],
        live: vec![true; 8],
        ..Weight::default()
    };
    // |w g| = .1 .4 .3 1 0 .3 .1 .1; of the two equal thirds the first counts first.
    let live = one_shot(&[weight], &Saliency, 0.625, Budget::Global).unwrap();
    assert_eq!(
        live[0],
        [false, true, true, true, false, false, false, false]
    );
}

#[test]
fn nan_is_a_typed_error_that_names_the_weight() {
    let weight = Weight {
        path: "deep.weight".into(),
        shape: vec![2, 1],
        values: vec![1.0, 0.0],
        gradient: vec![f32::NAN, 1.0],
        live: vec![true, false],
        ..Weight::default()
    };
    let error = drop_and_grow(&weight, &Magnitude, &GradientMagnitude, 0.5).unwrap_err();
    assert!(error.to_string().contains("`deep.weight`"), "{error}");
    let error = one_shot(&[weight], &Saliency, 0.5, Budget::Global).unwrap_err();
    assert!(matches!(
        error,
        Error::NotANumber {
            count: 1,
            total: 2,
            ..
        }
    ));
}

/// Settings that only the next check refuses, asked for their arithmetic first.
#[test]
fn settings_yet_to_be_refused_do_not_panic() {
    let tickets = [
        LotteryTicket::new(0.9).with_level_steps(5).with_rewind(9),
        LotteryTicket::new(0.9).with_level_steps(5).with_rate(0.0),
        LotteryTicket::new(0.9).with_level_steps(5).with_rate(1.0),
        LotteryTicket::new(f64::NAN).with_level_steps(0),
    ];
    for tickets in tickets {
        tickets.total_steps();
        for step in 0..20 {
            tickets.is_due(step);
            tickets.sparsity_after(step);
            tickets.schedule_step(step);
        }
        tickets.validate().unwrap_err();
    }
    let set = Set::new(0.9).every(0).until(100);
    set.sparsity_after(50);
    assert!(
        set.validate()
            .unwrap_err()
            .to_string()
            .starts_with("update_every = 0")
    );
    let backwards = GradualMagnitude::new(0.9)
        .between(std::ops::RangeInclusive::new(20, 10))
        .every(5);
    assert!(
        backwards
            .validate()
            .unwrap_err()
            .to_string()
            .starts_with("begin = 20")
    );
    // A run of one pruning step prunes all the way.
    assert_eq!(
        GradualMagnitude::new(0.9)
            .between(0..=0)
            .every(1)
            .sparsity_at(0),
        0.9
    );
    let forever = RigL::new(0.9)
        .until(10)
        .with_memory(GradientMemory::Sum { steps: u64::MAX });
    assert!(
        forever
            .validate()
            .unwrap_err()
            .to_string()
            .starts_with("memory.steps =")
    );
    for distribution in [
        Distribution::Uniform,
        Distribution::UniformPlus,
        Distribution::Erk,
    ] {
        assert!(distribution.densities(&[], 0.5).unwrap().is_empty());
        assert!(distribution.densities(&[vec![9, 9]], -0.5).is_err());
    }
    let weight = Weight {
        values: vec![1.0; 4],
        live: vec![true; 4],
        ..Weight::default()
    };
    assert!(one_shot(&[weight], &Magnitude, -1.0, Budget::Global).is_err());
}

/// A method that was never told when to change masks is refused, in words that say how to tell it.
#[test]
fn a_schedule_that_was_never_given_is_refused() {
    let methods: [(Box<dyn SparsityMethod>, &str); 13] = [
        (Box::new(RigL::new(0.9)), "`over`"),
        (Box::new(Set::new(0.9)), "`over`"),
        (Box::new(Set::new(0.9).every(5)), "`over`"),
        (Box::new(Set::new(0.9).until(50)), "`every`"),
        (Box::new(Set::itop(0.9)), "`over`"),
        (Box::new(Dsr::new(0.9)), "`over`"),
        (Box::new(Snfs::new(0.9)), "`over`"),
        (Box::new(Svite::new(0.9)), "`over`"),
        (Box::new(Mest::em(0.9)), "`over`"),
        (Box::new(Mest::em_s(0.9).every(5)), "`over`"),
        (Box::new(GradualMagnitude::new(0.9)), "`over`"),
        (Box::new(GradualMagnitude::new(0.9).every(5)), "`over`"),
        (Box::new(LotteryTicket::new(0.9)), "`with_level_steps`"),
    ];
    for (method, remedy) in methods {
        let error = method.validate().unwrap_err().to_string();
        assert!(error.contains(remedy), "{method:?}: {error}");
    }
}

/// The shares of training that papers and their codes have, whichever is said first; no number of
/// steps is too large.
#[test]
fn schedules_are_scaled_to_a_run() {
    assert_eq!(
        RigL::new(0.9).over(1000),
        RigL::new(0.9).every(50).until(750)
    );
    assert_eq!(RigL::new(0.9).over(40_000), RigL::new(0.9).until(30_000));
    assert_eq!(
        RigL::new(0.9).over(40_000),
        RigL::new(0.9).every(100).until(30_000)
    );
    assert_eq!(
        RigL::new(0.9).over(1000).every(3),
        RigL::new(0.9).every(3).over(1000)
    );
    assert!((0..60).any(|step| RigL::new(0.9).over(60).is_due(step)));
    assert_eq!(
        Set::new(0.9).over(1000),
        Set::new(0.9).every(10).until(1000)
    );
    assert_eq!(
        Set::new(0.9).over(1000).every(3),
        Set::new(0.9).every(3).over(1000)
    );
    assert_eq!(Dsr::new(0.9).over(1000), Dsr::new(0.9).every(10).until(950));
    assert_eq!(
        Snfs::new(0.9).over(1000),
        Snfs::new(0.9).every(10).until(1000)
    );
    assert_eq!(
        Svite::new(0.9).over(1000),
        Svite::new(0.9).every(50).until(800)
    );
    let gmp = GradualMagnitude::new(0.9);
    assert_eq!(
        gmp.clone().over(1000),
        gmp.clone().between(10..=750).every(10)
    );
    assert_eq!(gmp.clone().over(1000).every(3), gmp.every(3).over(1000));
    let mest = Mest::em(0.9).over(1600);
    let ends: Vec<u64> = mest.phases.iter().map(|phase| phase.until).collect();
    assert_eq!((mest.every, ends), (50, vec![900, 1200, 1600]));
    assert_eq!(
        Mest::em(0.9).over(160).every(3),
        Mest::em(0.9).every(3).over(160)
    );
    for steps in [0, 1, u64::MAX] {
        Mest::em_s(0.9).over(steps).is_due(7);
        RigL::new(0.9).over(steps).is_due(7);
        Dsr::new(0.9).over(steps).is_due(7);
        GradualMagnitude::new(0.9).over(steps).is_due(7);
    }
}

/// Settings as they were written when schedules were bare numbers.
#[test]
fn settings_that_were_saved_before_load() {
    let times = r#""begin":100,"every":100,"end":1000,"fraction":0.3,"decay":"constant""#;
    let set =
        format!(r#"{{"set":{{"sparsity":0.9,"distribution":"erk","schedule":{{{times}}}}}}}"#);
    let gmp = r#"{"gmp":{"sparsity":0.9,"budget":"global","begin":0,"end":1000,"every":100}}"#;
    let lth =
        r#"{"lth":{"sparsity":0.9,"level_steps":50,"rewind":0,"rate":0.2,"perturbed":"ticket"}}"#;
    let loaded = |json: &str| serde_json::from_str::<Method>(json).unwrap();
    let new = Set::new(0.9).every(100).until(1000);
    assert_eq!(loaded(&set), Method::Set(new.clone()));
    let between = GradualMagnitude::new(0.9).between(0..=1000).every(100);
    assert_eq!(loaded(gmp), Method::Gmp(between.clone()));
    let tickets = LotteryTicket::new(0.9).with_level_steps(50);
    assert_eq!(loaded(lth), Method::Lth(tickets));
    // And they are written as before.
    assert_eq!(serde_json::to_string(&Method::Gmp(between)).unwrap(), gmp);
    assert!(
        serde_json::to_string(&new)
            .unwrap()
            .contains(r#""end":1000"#)
    );
}

/// Growth between bounds needs a count for each layer.
#[test]
fn a_recipe_that_cannot_grow_says_so() {
    #[derive(Debug)]
    struct Elastic;
    impl Recipe for Elastic {
        fn parts(&self, draw: Draw) -> Parts {
            let schedule = UpdateSchedule::every(1)
                .until(10)
                .with_fraction(0.0)
                .with_decay(Decay::Constant);
            Parts {
                budget: Budget::Global,
                exchange: Exchange::Bounds {
                    drop_to: 0.6,
                    grow_to: 0.5,
                },
                ..Parts::new("elastic", 0.5, schedule, draw)
            }
        }
    }
    let weight = Weight {
        shape: vec![4, 1],
        values: vec![1.0; 4],
        gradient: vec![1.0; 4],
        live: vec![true; 4],
        ..Weight::default()
    };
    let error = Elastic.update(1, &[weight], 0).unwrap_err();
    assert!(error.to_string().starts_with("budget ="), "{error}");
}

#[test]
fn fields_out_of_range_are_named() {
    let message = |result: zosam::Result<()>| result.unwrap_err().to_string();
    for sparsity in [-0.1, 1.0, f64::NAN] {
        assert!(message(Snip::new(sparsity).validate()).starts_with("sparsity ="));
    }
    assert!(message(RigL::new(0.5).until(10).every(0).validate()).starts_with("update_every = 0"));
    assert!(
        message(RigL::new(0.5).until(10).with_drop_fraction(1.5).validate())
            .contains("between 0 and 1")
    );
    for config in [
        ZoSamConfig::new().with_rho(-1.0),
        ZoSamConfig::new().with_rho(f64::INFINITY),
        ZoSamConfig::new().with_directions(0),
        ZoSamConfig::new().with_delta(zosam::perturb::Delta::Absolute(0.0)),
    ] {
        assert!(
            matches!(config.validate(), Err(Error::Config { .. })),
            "{config:?}"
        );
    }
}
