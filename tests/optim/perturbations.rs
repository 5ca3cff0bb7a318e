//! Perturbations by closed forms, and what goes wrong where they meet schedules, scopes and few tensors.

use std::cell::Cell;

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{Sgd, SgdConfig};
use burn::tensor::{Device, Distribution, Tensor};
use zosam::objective::{Samples, seeded};
use zosam::optim::{ForwardOnly, ForwardRule};
use zosam::perturb::*;
use zosam::sparse::{Growth, LotteryTicket, Snfs, Sparsity};
use zosam::tree::{self, DirectionDistribution};
use zosam::{RandomStatic, SharpOptimizer};

fn device() -> Device {
    Device::flex().autodiff()
}

fn sgd() -> Sgd {
    SgdConfig::new().build()
}

fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let normal = Distribution::Normal(0.0, 1.0);
    seeded(&device(), seed, || Tensor::random(shape, normal, &device()))
}

fn linear(inputs: usize, outputs: usize) -> Linear {
    seeded(&device(), 1, || {
        let layer = LinearConfig::new(inputs, outputs).init(&device());
        tree::values(&layer);
        layer
    })
}

/// A single weight.
#[derive(Module, Debug)]
struct Weight {
    w: Param<Tensor<1>>,
}

/// Where three steps on `L = w²/2` from `w = 1` with SGD at 0.1 measure their gradients.
fn measured_at(config: SharpnessConfig, momentum: f64) -> Vec<f64> {
    let momentum = MomentumConfig::new()
        .with_momentum(momentum)
        .with_dampening(0.0);
    let sgd = SgdConfig::new().with_momentum(Some(momentum)).build();
    let mut optim = config.init(sgd).unwrap();
    let mut model = Weight {
        w: Param::from_tensor(Tensor::ones([1], &device())),
    };
    let seen = Cell::new(0.0);
    let loss = |model: &Weight| {
        let w = model.w.val();
        seen.set(w.clone().into_scalar::<f64>());
        w.powi_scalar(2).mul_scalar(0.5).sum()
    };
    let mut places = Vec::new();
    for _ in 0..3 {
        model = optim
            .step_with(0.1, model, &mut Sparsity::dense(), loss)
            .unwrap()
            .0;
        places.push(seen.get());
    }
    places
}

fn assert_near(found: &[f64], expected: &[f64]) {
    let pairs = found.iter().zip(expected);
    assert!(
        pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6),
        "{found:?}, not {expected:?}"
    );
}

/// After the first step (w = 0.9, v = 1) momentum-SAM goes on down: 0.9 − 0.3. Then v = 0.9 + 0.6, w = 0.75.
#[test]
fn momentum_sam_looks_ahead() {
    let config = MomentumSamConfig::new().with_momentum(0.9).with_rho(0.3);
    let found = measured_at(SharpnessConfig::MomentumSam(config), 0.9);
    assert_near(&found, &[1.0, 0.6, 0.45]);
}

/// S²-SAM looks up, along the gradient of the step before: 0.9 + 0.3, then w = 0.9 − 0.12.
#[test]
fn s2sam_looks_up() {
    let config = S2SamConfig::new().with_rho(0.3);
    let found = measured_at(SharpnessConfig::S2Sam(config), 0.0);
    assert_near(&found, &[1.0, 1.2, 1.08]);
}

/// With `λ = 0.1` momentum and gradient hold `λ (w + ε)`: v = 1.1, w = 0.89; at 0.59 v = 0.99 + 0.649, w = 0.7261.
#[test]
fn momentum_sam_decays_weights_where_it_looks() {
    let config = MomentumSamConfig::new().with_weight_decay(0.1);
    let found = measured_at(SharpnessConfig::MomentumSam(config), 0.9);
    assert_near(&found, &[1.0, 0.59, 0.4261]);
}

/// Momentum-SAM without momentum would be S²-SAM with the other sign: it is refused, and the message says so.
#[test]
fn the_two_signs_cannot_be_confused() {
    let error = MomentumSamConfig::new()
        .with_momentum(0.0)
        .validate()
        .unwrap_err();
    assert!(error.to_string().contains("S2SamConfig"), "{error}");
}

fn samples(inputs: Tensor<2>) -> impl zosam::objective::BatchLoss<Linear, Extra = ()> {
    Samples::new(inputs, |layer: &Linear, inputs: &Tensor<2>| {
        let squares = layer.forward(inputs.clone()).powi_scalar(2);
        squares.mean_dim(1).flatten::<1>(0, 1)
    })
}

/// With two tensors each drawn at 0.6, none is in 16 % of the steps: these are the base optimizer's, and say so.
#[test]
fn esam_takes_a_plain_step_where_it_draws_nothing() {
    let inputs = random([8, 5], 3);
    let (mut plain, mut steps) = (0, 0);
    for seed in 0..40 {
        let mut optim = EsamConfig::new().init(sgd()).unwrap().with_seed(seed);
        let mut base = SharpnessConfig::None.init(sgd()).unwrap();
        let mut model = linear(5, 3);
        for step in 0..20 {
            let before = model.clone();
            let stepped =
                optim.step_on(0.01, model, &mut Sparsity::dense(), samples(inputs.clone()));
            let report;
            (model, report) = stepped.unwrap();
            if report.offset.is_some() {
                continue;
            }
            assert!(step > 0, "all tensors are perturbed in the first step");
            assert_eq!(report.plain, Some(PlainReason::ZeroEstimate));
            assert_eq!((report.passes.forwards, report.passes.backwards), (1, 1));
            let stepped = base.step_on(
                0.01,
                before,
                &mut Sparsity::dense(),
                samples(inputs.clone()),
            );
            let difference =
                tree::values(&stepped.unwrap().0).add_scaled(&tree::values(&model), -1.0);
            assert_eq!(difference.norm(), 0.0);
            plain += 1;
        }
        steps += 19;
    }
    // 0.4² of 760 is 122, with a deviation of 10.
    assert!((plain - 122i32).abs() < 30, "{plain} of {steps}");
}

/// Only tensors that may be perturbed are drawn: of a layer whose weight alone has a mask, that one.
#[test]
fn esam_draws_within_its_scope() {
    let inputs = random([8, 5], 3);
    let mut sparsity = Sparsity::new(RandomStatic::new(0.5));
    let loss = |layer: &Linear| layer.forward(inputs.clone()).mean();
    let mut model = sparsity.attach(linear(5, 3), loss).unwrap();
    let config = EsamConfig::new().with_scope(Scope::SparseWeights);
    let mut optim = config.init(sgd()).unwrap();
    let mut perturbed = 0;
    for _ in 0..100 {
        let stepped = optim.step_on(0.01, model, &mut sparsity, samples(inputs.clone()));
        let report;
        (model, report) = stepped.unwrap();
        if let Some(offset) = report.offset {
            let offset = offset.vector();
            assert_eq!(offset.iter().count(), 1);
            assert!(offset.get(model.weight.id).is_some());
            perturbed += 1;
        }
    }
    // 0.6 of 100, with a deviation of 5.
    assert!((perturbed - 60i32).abs() < 15, "{perturbed}");
    // Without masks there is nothing to perturb, and the step is plain.
    let mut optim = config.init(sgd()).unwrap();
    let (_, report) = optim
        .step_on(0.01, linear(5, 3), &mut Sparsity::dense(), samples(inputs))
        .unwrap();
    assert_eq!(report.plain, Some(PlainReason::ZeroEstimate));
}

#[derive(Module, Debug)]
struct Branches {
    used: Linear,
    unused: Linear,
}

/// Tensors that the loss does not depend on have no gradient, also where no other tensor is drawn.
#[test]
fn esam_bears_unused_tensors() {
    let inputs = random([8, 5], 3);
    let mut empty = 0;
    for seed in 0..20 {
        let config = EsamConfig::new().with_beta(0.3);
        let mut optim = config.init(sgd()).unwrap().with_seed(seed);
        let mut model = Branches {
            used: linear(5, 3),
            unused: linear(5, 3),
        };
        for _ in 0..10 {
            let loss = Samples::new(inputs.clone(), |model: &Branches, inputs: &Tensor<2>| {
                let squares = model.used.forward(inputs.clone()).powi_scalar(2);
                squares.mean_dim(1).flatten::<1>(0, 1)
            });
            let stepped = optim.step_on(0.01, model, &mut Sparsity::dense(), loss);
            let report;
            (model, report) = stepped.unwrap();
            empty += i32::from(report.offset.is_none());
        }
    }
    assert!(empty > 50, "{empty}");
}

/// The forwards of the steps of a run.
fn forwards(
    optim: &mut SharpOptimizer<SharpnessConfig, Sgd>,
    sparsity: &mut Sparsity,
    steps: u64,
) -> Vec<u64> {
    let inputs = random([16, 12], 3);
    let loss = |layer: &Linear| layer.forward(inputs.clone()).powi_scalar(2).mean();
    let mut model = sparsity.attach(linear(12, 6), loss).unwrap();
    let mut made = Vec::new();
    for _ in 0..steps {
        let report;
        (model, report) = optim.step_with(0.05, model, sparsity, loss).unwrap();
        assert_eq!(
            report.plain.filter(|reason| *reason != PlainReason::Method),
            None
        );
        made.push(report.passes.forwards);
    }
    made
}

/// A direction serves two perturbed steps, whichever steps those are; likewise LookSAM's vector.
#[test]
fn periods_count_perturbed_steps() {
    let odd = Schedule::from(1).every(2);
    let reused = SharpnessConfig::ZoSam(ZoSamConfig::new().with_reuse(2));
    let look = |every| SharpnessConfig::LookSam(LookSamConfig::new().with_every(every));
    let made = |config: &SharpnessConfig, schedule, steps| {
        let mut optim = config.init(sgd()).unwrap().with_schedule(schedule);
        forwards(&mut optim, &mut Sparsity::dense(), steps)
    };
    assert_eq!(made(&reused, odd, 10), [1, 2, 1, 1, 1, 2, 1, 1, 1, 2]);
    assert_eq!(made(&look(2), odd, 10), [1, 2, 1, 1, 1, 2, 1, 1, 1, 2]);
    let fifth = Schedule::from(1).every(5);
    assert_eq!(made(&look(1), fifth, 8), [1, 2, 1, 1, 1, 1, 2, 1]);
    let all = made(&look(5), fifth, 30);
    let perturbed: Vec<usize> = (0..30).filter(|step| all[*step] == 2).collect();
    assert_eq!(perturbed, [1, 26]);
    // Without a schedule they are the steps' own numbers.
    assert_eq!(made(&reused, Schedule::default(), 5), [2, 1, 2, 1, 2]);
}

/// Nor do steps count that a method wants unperturbed: a ticket's search (9 steps), here of 3 levels.
#[test]
fn periods_count_what_methods_let_through() {
    let ticket = LotteryTicket::new(0.4).with_level_steps(3).with_rate(0.2);
    let before = ticket.total_steps() - 3;
    let reused = SharpnessConfig::ZoSam(ZoSamConfig::new().with_reuse(2));
    let mut optim = reused.init(sgd()).unwrap();
    let made = forwards(&mut optim, &mut Sparsity::new(ticket), before + 3);
    assert!(
        made[..before as usize]
            .iter()
            .all(|forwards| *forwards == 1)
    );
    assert_eq!(made[before as usize..], [2, 1, 2]);
}

/// LookSAM's vector is what its last ascent left, whatever gradient grows weights.
#[test]
fn looksam_keeps_its_vector_under_clean_growth() {
    let inputs = random([16, 12], 3);
    let loss = |layer: &Linear| layer.forward(inputs.clone()).powi_scalar(2).mean();
    let norms = |growth| {
        let mut sparsity = Sparsity::new(Snfs::new(0.5).every(100).until(1000)).with_growth(growth);
        let mut model = sparsity.attach(linear(12, 6), loss).unwrap();
        let mut optim = LookSamConfig::new().init(sgd()).unwrap();
        let norms = (0..5).map(|_| {
            let stepped = optim.step_with(0.05, model.clone(), &mut sparsity, loss);
            model = stepped.unwrap().0;
            optim.memory().live("orthogonal").unwrap().norm()
        });
        norms.collect::<Vec<f64>>()
    };
    let perturbed = norms(Growth::Perturbed);
    assert!(
        perturbed
            .iter()
            .all(|norm| *norm == perturbed[0] && *norm > 0.0)
    );
    assert_eq!(norms(Growth::Clean), perturbed);
}

/// `E ĝ = g`, for every family of directions that `ForwardOnly` takes: on a linear loss, over 400 seeds.
#[test]
fn estimates_without_a_backward_pass_are_unbiased() {
    let slope = random([6, 2], 5).inner();
    let loss = |layer: &Linear| {
        let slope = Tensor::from_inner(slope.clone());
        (layer.weight.val() * slope).sum() + layer.bias.as_ref().unwrap().val().sum()
    };
    let mut sparsity = Sparsity::new(RandomStatic::new(0.25));
    let model = sparsity.attach(linear(6, 2), loss).unwrap();
    let before = tree::values(&model);
    let (plain, _) = SharpnessConfig::None
        .init(sgd())
        .unwrap()
        .step_with(1.0, model.clone(), &mut sparsity, loss)
        .unwrap();
    let gradient = before.clone().add_scaled(&tree::values(&plain), -1.0);
    let all = Directions::Coordinates(vec!["Linear".to_string()]);
    // n = 11 live components. The deviation of the mean is that of one estimate, over 20.
    for (family, m, deviation) in [
        (Directions::Isotropic, 1, 1.5),
        (Directions::Isotropic, 4, 0.75),
        (Directions::Orthogonal, 1, 1.4),
        (Directions::Orthogonal, 4, 0.6),
        (Directions::Orthogonal, 11, 0.0),
        (Directions::Orthogonal, 20, 0.0),
        (Directions::Blocks, 1, 1.5),
        (all, 1, 0.0),
    ] {
        for distribution in [
            DirectionDistribution::Gaussian,
            DirectionDistribution::Rademacher,
            DirectionDistribution::Sphere,
        ] {
            let estimator = ZoSamConfig::new()
                .with_directions(m)
                .with_family(family.clone())
                .with_distribution(distribution)
                .with_delta(Delta::Absolute(0.1));
            let seeds = if deviation == 0.0 { 2 } else { 400 };
            let mut along = 0.0;
            for seed in 0..seeds {
                let optim = ForwardOnly::new(estimator.clone(), ForwardRule::Estimate, sgd());
                let mut optim = optim.unwrap().with(|optim| optim.with_seed(seed));
                let moved = optim
                    .step_on(1.0, model.clone(), &mut sparsity, loss)
                    .unwrap()
                    .0;
                let estimate = before.clone().add_scaled(&tree::values(&moved), -1.0);
                along += estimate.dot(&gradient) / gradient.dot(&gradient) / seeds as f64;
            }
            // Four deviations, and the rounding of losses of order 1 over 0.2.
            let tolerance = 4.0 * deviation / 20.0 + 1e-4;
            let what = format!("{family:?}, m = {m}, {distribution:?}");
            assert!((along - 1.0).abs() < tolerance, "{what}: {along}");
        }
    }
}

/// An empty batch is refused by name, however its samples are looked at.
#[test]
fn an_empty_batch_is_refused() {
    let empty = || samples(Tensor::zeros([0, 5], &device()));
    for config in [
        SharpnessConfig::None,
        SharpnessConfig::Esam(EsamConfig::new()),
        SharpnessConfig::ZoSam(ZoSamConfig::new()),
        SharpnessConfig::ZoSam(ZoSamConfig::new().with_fraction(0.25)),
        SharpnessConfig::ZoSam(
            ZoSamConfig::new()
                .with_fraction(0.25)
                .with_sides(Sides::One),
        ),
    ] {
        let mut optim = config.init(sgd()).unwrap();
        let result = optim.step_on(0.1, linear(5, 3), &mut Sparsity::dense(), empty());
        let message = result.map(drop).unwrap_err().to_string();
        assert!(message.contains("empty"), "{config:?}: {message}");
    }
}
