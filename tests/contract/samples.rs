//! The laws for perturbations that look at the samples of a batch.

use zosam::objective::Samples;
use zosam::perturb::*;
use zosam::{RigL, Sparsity, tree};

use super::setup::*;

fn cases(rho: f64) -> Vec<Case> {
    let quarter = ZoSamConfig::new().with_rho(rho).with_fraction(0.25);
    let one_sided = quarter.clone().with_directions(2).with_sides(Sides::One);
    let esam = EsamConfig::new().with_rho(rho);
    vec![
        ("quarter", SharpnessConfig::ZoSam(quarter), Some((3, 1))),
        ("one-sided", SharpnessConfig::ZoSam(one_sided), Some((4, 1))),
        ("esam", SharpnessConfig::Esam(esam.clone()), Some((3, 2))),
        (
            "esam, all samples",
            SharpnessConfig::Esam(esam.with_gamma(1.0)),
            Some((2, 2)),
        ),
    ]
}

fn step(
    optim: &mut Optim<burn::optim::Sgd>,
    net: Net,
    sparsity: &mut Sparsity,
    number: u64,
) -> (Net, zosam::StepReport<burn::tensor::Tensor<2>>) {
    let batch = Batch::new(number);
    let loss = batch.samples();
    optim.step_on(0.05, net, sparsity, loss).unwrap()
}

/// Laws 2, 5, 6 and 7.
#[test]
fn parts_of_a_batch_keep_the_laws() {
    for (name, config, passes) in cases(0.07) {
        let mut sparsity = Sparsity::new(RigL::new(0.8).until(12).every(3)).with_seed(3);
        let batch = Batch::new(0);
        let mut net = sparsity
            .attach_on(Net::new(&device()), &batch.evidence())
            .unwrap();
        let live = sparsity.masks().live_weights();
        let mut optim = config.init(sgd()).unwrap();
        for number in 0..6 {
            let masks = sparsity.masks().clone();
            let (next, report) = step(&mut optim, net, &mut sparsity, number);
            net = next;
            let made = (report.passes.forwards, report.passes.backwards);
            assert_eq!(Some(made), passes, "{name}");
            // The logits of the whole batch, whatever was differentiated.
            assert_eq!(report.extra.dims(), [10, 5], "{name}");
            let offset = report.offset.expect("a perturbation").vector();
            let expected = match name.starts_with("esam") {
                true => 0.07 / 0.6,
                false => 0.07,
            };
            assert!((offset.norm() / expected - 1.0).abs() < 1e-6, "{name}");
            let projected = masks.project(offset.clone());
            assert_eq!(projected.add_scaled(&offset, -1.0).norm(), 0.0, "{name}");
            let weights = tree::values(&net);
            let dead = sparsity.masks().project(weights.clone());
            assert_eq!(dead.add_scaled(&weights, -1.0).norm(), 0.0, "{name}");
            assert_eq!(sparsity.masks().live_weights(), live, "{name}");
        }
    }
}

/// Law 1: at radius 0 the step is the base optimizer's, where all samples are differentiated.
#[test]
fn parts_at_radius_zero_are_the_base_optimizer() {
    let run = |config: SharpnessConfig| {
        let mut net = Net::new(&device());
        let mut optim = config.init(sgd()).unwrap();
        for number in 0..4 {
            net = step(&mut optim, net, &mut Sparsity::dense(), number).0;
        }
        bits(&net)
    };
    let expected = run(SharpnessConfig::None);
    for (name, config, _) in cases(0.0) {
        if name != "esam" {
            assert!(run(config) == expected, "{name}");
        }
    }
}

/// With all tensors and all samples ESAM is SAM, to the bit.
#[test]
fn esam_is_sam_on_everything() {
    let run = |config: SharpnessConfig| {
        let mut net = Net::new(&device());
        let mut optim = config.init(sgd()).unwrap();
        for number in 0..4 {
            net = step(&mut optim, net, &mut Sparsity::dense(), number).0;
        }
        bits(&net)
    };
    let esam = EsamConfig::new().with_beta(1.0).with_gamma(1.0);
    let sam = run(SharpnessConfig::Sam(SamConfig::new()));
    assert!(run(SharpnessConfig::Esam(esam)) == sam);
}

/// A closure shows no samples, and that is an error with a way out.
#[test]
fn a_closure_is_refused() {
    for (name, config, _) in cases(0.05) {
        let mut optim = config.init(sgd()).unwrap();
        let batch = Batch::new(0);
        let result = optim.step_with(
            0.05,
            Net::new(&device()),
            &mut Sparsity::dense(),
            |net: &Net| batch.loss(net),
        );
        let message = result.map(drop).unwrap_err().to_string();
        assert!(message.contains("Samples"), "{name}: {message}");
    }
}

/// The losses of parts are those of the whole.
#[test]
fn parts_add_up() {
    use zosam::objective::{BatchLoss, Objective};
    let (data, layer) = zosam::objective::seeded(&device(), 4, || {
        let default = burn::tensor::Distribution::Default;
        let data = burn::tensor::Tensor::<2>::random([7, 3], default, &device());
        let layer = burn::nn::LinearConfig::new(3, 1).init(&device());
        tree::values(&layer);
        (data, layer)
    });
    let loss = Samples::new(
        data,
        |layer: &burn::nn::Linear, data: &burn::tensor::Tensor<2>| {
            layer
                .forward(data.clone())
                .powi_scalar(2)
                .flatten::<1>(0, 1)
        },
    );
    assert_eq!(BatchLoss::<burn::nn::Linear>::samples(&loss), Some(7));
    let mut objective = Objective::new(&layer, loss, 0);
    let each = objective.losses_at(None);
    let expected = (each[1] + each[4] + each[6]) / 3.0;
    assert!((objective.value_on(&[1, 4, 6], None) - expected).abs() < 1e-6);
    let mean = each.iter().sum::<f64>() / 7.0;
    assert!((objective.value(None) - mean).abs() < 1e-6);
}
