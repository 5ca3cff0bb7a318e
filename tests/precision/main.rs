//! Models of every float type keep it, whatever is done to them, and what is measured about them has
//! the precision that its type promises.
#![cfg(feature = "flex")]

mod runs;

use burn::optim::SgdConfig;
use burn::tensor::{DType, Device, FloatDType, Int, Tensor};
use runs::*;
use zosam::objective::{Objective, Offset};
use zosam::optim::{ForwardOnly, ForwardRule};
use zosam::perturb::*;
use zosam::sparse::*;
use zosam::tree::{self, ParamVector};

const TYPES: [FloatDType; 4] = [
    FloatDType::F64,
    FloatDType::F32,
    FloatDType::F16,
    FloatDType::BF16,
];
const HALVES: [FloatDType; 2] = [FloatDType::F16, FloatDType::BF16];

/// Every float type through every perturbation, method, rewind and resume.
#[test]
fn every_float_type_is_kept() {
    assert_kept(FloatDType::F64, || SgdConfig::new().build());
    for dtype in [FloatDType::F32, FloatDType::F16, FloatDType::BF16] {
        assert_kept(dtype, sgd);
        assert_kept(dtype, adamw);
    }
}

/// burn reads optimizers' state in its default float type, here f32, which does not hold f64's: that is an error by name, where a run is
/// resumed and where masks change. `precision_f64` has the way out.
#[test]
fn state_that_burn_would_round_is_refused() {
    let methods = methods();
    let (dense, rigl) = (&methods[0], &methods[1]);
    let none = SharpnessConfig::None;
    let run = Run::start(FloatDType::F64, &none, dense, sgd()).steps(0..2, "dense");
    let error = run
        .resumed(&none, dense, sgd())
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("F64") && error.contains("Device::configure"),
        "{error}"
    );
    let mut run = Run::start(FloatDType::F64, &none, rigl, sgd()).steps(0..3, "rigl");
    let loss = samples(FloatDType::F64, 3);
    let stepped = run.optim.step_on(0.05, run.net, &mut run.sparsity, loss);
    let error = stepped.map(drop).unwrap_err().to_string();
    assert!(
        error.contains("F64") && error.contains("Device::configure"),
        "{error}"
    );
}

/// Methods that score before training, each from what it measures.
#[test]
fn scores_can_be_had_for_every_float_type() {
    let labels: Vec<i64> = (0..12).map(|i| i % 5).collect();
    let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &Device::flex().autodiff());
    for dtype in TYPES {
        for method in [
            Method::Snip(Snip::new(0.5)),
            Method::Grasp(Grasp::new(0.5)),
            Method::SynFlow(SynFlow::new(0.5).with_rounds(3)),
            Method::Dsr(Dsr::new(0.5).every(3).until(12)),
        ] {
            let evidence = Classification::new([(batch(dtype, 0), labels.clone())], Net::forward);
            let mut sparsity = Sparsity::from_boxed(method.clone().boxed());
            let net = sparsity.attach_on(Net::new(dtype), &evidence);
            assert!(has_type(&net.unwrap(), dtype), "{dtype:?}, {method:?}");
            let live = (20 * 16 + 16 * 5) / 2;
            assert_eq!(
                sparsity.masks().live_weights(),
                live,
                "{dtype:?}, {method:?}"
            );
        }
    }
}

/// Training without a backward pass, along every family of directions.
#[test]
fn forward_passes_keep_the_float_type() {
    for dtype in TYPES {
        for family in [
            Directions::Isotropic,
            Directions::Orthogonal,
            Directions::Blocks,
        ] {
            for rule in [
                ForwardRule::Estimate,
                ForwardRule::Sign,
                ForwardRule::Conservative,
            ] {
                let estimator = ZoSamConfig::new().with_delta(Delta::Absolute(1e-2));
                let estimator = estimator.with_family(family.clone());
                let mut optim = ForwardOnly::new(estimator, rule, sgd()).unwrap();
                let inputs = batch(dtype, 0);
                let mut sparsity = Sparsity::new(RandomStatic::new(0.5));
                let loss = |net: &Net| net.loss(inputs.clone());
                let mut net = sparsity.attach(Net::new(dtype), loss).unwrap();
                for _ in 0..3 {
                    net = optim.step_on(1e-3, net, &mut sparsity, loss).unwrap().0;
                }
                assert!(has_type(&net, dtype), "{dtype:?}, {family:?}, {rule:?}");
            }
        }
    }
}

/// `‖ε‖ = ρ` to the precision of vectors, dead weights are +0, also where weights are coarser than `ε`.
#[test]
fn perturbations_have_their_length() {
    for dtype in TYPES {
        for (name, config) in perturbations(0.05) {
            let what = format!("{name} {dtype:?}");
            let method = Method::Random(RandomStatic::new(0.5));
            let mut run = Run::start(dtype, &config, &method, sgd());
            for number in 0..3 {
                let report;
                (run, report) = run.step(number, &what);
                // Two probes may round to the same loss; a step without ε is reported, if one was due.
                let Some(offset) = report.offset else {
                    let plain = [Some(PlainReason::ZeroEstimate), None];
                    assert!(plain.contains(&report.plain), "{what}");
                    continue;
                };
                let norm = offset.vector().norm();
                // Lengths of their own: the weights', the Fisher information's, and `ρ/β`.
                if !["asam", "fisher-sam", "esam"].contains(&name) {
                    assert!((norm / 0.05 - 1.0).abs() < 1e-6, "{what}: {norm}");
                }
            }
            let weights = tree::values(&run.net);
            let live = run.sparsity.masks().project(weights.clone());
            assert_eq!(live.add_scaled(&weights, -1.0).norm(), 0.0, "{what}");
            assert!(weights.norm().is_finite(), "{what}");
        }
    }
}

fn vector(component: Tensor<1>) -> ParamVector {
    let mut vector = ParamVector::default();
    vector.push(burn::module::ParamId::new(), component);
    vector
}

/// In f16 squares of small gradients vanish and sums of many overflow; in f32 neither.
#[test]
fn norms_have_the_range_of_f32() {
    for (value, size) in [(1e-4, 1000), (60.0, 100_000)] {
        let component = Tensor::<1>::full([size], value, &Device::flex()).cast(FloatDType::F16);
        let rounded = f64::from(component.clone().max().into_scalar::<f32>());
        let expected = rounded * (size as f64).sqrt();
        assert!((vector(component).norm() / expected - 1.0).abs() < 1e-6);
    }
}

/// Norms, products and sums of f64 components are f64's, also beside an f32 component.
#[test]
fn vectors_of_f64_have_its_precision() {
    let (id, third) = (burn::module::ParamId::new(), 1.0 / 3.0);
    let full = |dtype: FloatDType| {
        let mut vector = ParamVector::default();
        let component = Tensor::<1>::full([1000], third, (&Device::flex(), DType::F64));
        vector.push(id, component.cast(dtype));
        vector
    };
    let (double, single) = (full(FloatDType::F64), full(FloatDType::F32));
    assert!((double.norm() / (1000.0f64 / 9.0).sqrt() - 1.0).abs() < 1e-14);
    let rounding = f64::from(third as f32) - third;
    for difference in [
        single.clone().add_scaled(&double, -1.0),
        double.clone().add_scaled(&single, -1.0),
    ] {
        let expected = rounding.abs() * 1000.0f64.sqrt();
        assert!((difference.norm() / expected - 1.0).abs() < 1e-9);
    }
    let product = 1000.0 * third * f64::from(third as f32);
    // A thousand roundings of a sum in f64.
    assert!((double.dot(&single) / product - 1.0).abs() < 1e-12);
}

/// A difference quotient over 1e-6 needs losses in f64: in f32 they would differ by a few roundings.
#[test]
fn differences_of_f64_losses_have_its_precision() {
    let inputs = batch(FloatDType::F64, 0);
    let net = Net::new(FloatDType::F64);
    let mut objective = Objective::new(&net, |net: &Net| net.loss(inputs.clone()), 0);
    let gradient = objective.gradient(None).vector;
    let direction = gradient.clone().scaled(1.0 / gradient.norm());
    let mut at = |scale: f64| {
        let direction = direction.clone();
        objective.value(Some(&Offset { direction, scale }))
    };
    let quotient = (at(1e-6) - at(-1e-6)) / 2e-6;
    assert!(
        (quotient / gradient.norm() - 1.0).abs() < 1e-8,
        "{quotient}"
    );
}

/// A direction in f32, drawn by somebody else, perturbs models of every type.
#[test]
fn directions_of_another_type_are_converted() {
    for dtype in TYPES {
        let net = Net::new(dtype);
        let leaves = tree::leaves(&net);
        let key = tree::DirectionKey {
            seed: 1,
            step: 0,
            index: 0,
        };
        let direction = tree::draw(&leaves, key, Default::default(), &Device::flex());
        let moved = tree::perturbed(&net, &direction, 0.5, |_| true);
        assert!(has_type(&moved, dtype), "{dtype:?}");
        let difference = tree::values(&moved).add_scaled(&tree::values(&net), -1.0);
        let off = difference.add_scaled(&direction, -0.5).norm() / direction.norm();
        // Weights of order 1 are rounded to 8 bits in bf16.
        let tolerance = if HALVES.contains(&dtype) { 1e-2 } else { 1e-7 };
        assert!(off < tolerance, "{dtype:?}: {off}");
    }
}

/// Where the perturbed point is out of f16's range the step is a plain one, and is counted; the weights stay numbers.
#[test]
fn overflow_gives_a_plain_step() {
    for (name, config) in perturbations(1e4) {
        // These are not perturbed in their first step, look at parts of the model, or divide by more.
        if ["none", "msam", "s2sam", "norms", "blocks", "asam"].contains(&name) {
            continue;
        }
        let method = Method::Dense(Default::default());
        let run = Run::start(FloatDType::F16, &config, &method, sgd());
        let before = tree::values(&run.net);
        let (run, report) = run.step(0, name);
        assert_eq!(report.plain, Some(PlainReason::NonFinite), "{name}");
        assert!(report.loss_value().is_finite(), "{name}");
        let moved = tree::values(&run.net).add_scaled(&before, -1.0).norm();
        assert!(
            moved > 0.0 && moved.is_finite(),
            "{name}: the step at θ was taken"
        );
    }
}
