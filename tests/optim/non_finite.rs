//! Law 10: nothing that is not finite gets into the weights by way of a perturbation.

use zosam::perturb::{
    PlainReason, RandomSignConfig, S2SamConfig, SamConfig, SharpnessConfig, WsamConfig,
};

use super::*;

fn perturbations() -> Vec<SharpnessConfig> {
    vec![
        SharpnessConfig::Sam(SamConfig::new()),
        SharpnessConfig::ZoSam(ZoSamConfig::new()),
        SharpnessConfig::ZoSam(ZoSamConfig::new().with_directions(3)),
        SharpnessConfig::RandomSign(RandomSignConfig::new().with_rho(0.1)),
        SharpnessConfig::Wsam(WsamConfig::new()),
    ]
}

/// Finite, with a gradient that is not: `d√x/dx` at 0 is infinite, times 0.
fn undefined(net: &Net) -> Tensor<1> {
    net.linear.weight.val().mul_scalar(0.0).sqrt().sum()
}

/// Where the gradient is undefined at `θ`, too, weights stay as they are, and the report says so.
#[test]
fn without_a_finite_gradient_weights_stay() {
    let start = net();
    let loss = linear_loss(batch(8));
    let broken = |net: &Net| loss(net) + undefined(net);
    assert!(broken(&start).into_scalar::<f32>().is_finite());
    for config in perturbations() {
        let mut optim = config.init(SgdConfig::new().init()).unwrap();
        let step = optim.step_with(0.1, tree::twin(&start), &mut Sparsity::dense(), broken);
        let (model, report) = step.unwrap();
        assert_eq!(report.plain, Some(PlainReason::NoGradient), "{config:?}");
        assert_eq!(fingerprint(&model), fingerprint(&start), "{config:?}");
        assert_eq!(optim.steps(), 1);
    }
}

/// Where it is undefined at `θ + ε` alone, the step is the base optimizer's, to the bit.
#[test]
fn an_undefined_gradient_at_the_perturbed_point_gives_a_plain_step() {
    let start = net();
    let loss = linear_loss(batch(8));
    let weight = |net: &Net| net.linear.weight.val().to_data();
    let origin = weight(&start);
    let broken = |net: &Net| match weight(net) == origin {
        true => loss(net),
        false => loss(net) + undefined(net),
    };
    let expected = plain().step_with(0.1, tree::twin(&start), &mut Sparsity::dense(), &loss);
    let expected = fingerprint(&expected.unwrap().0);
    for config in perturbations() {
        let mut optim = config.init(SgdConfig::new().init()).unwrap();
        let step = optim.step_with(0.1, tree::twin(&start), &mut Sparsity::dense(), broken);
        let (model, report) = step.unwrap();
        assert_eq!(report.plain, Some(PlainReason::NonFinite), "{config:?}");
        assert!(report.offset.is_none());
        assert_eq!(fingerprint(&model), expected, "{config:?}");
    }
}

/// What a perturbation remembers stays finite, so that the run goes on.
#[test]
fn a_broken_batch_does_not_spoil_what_is_remembered() {
    let loss = linear_loss(batch(8));
    for config in [
        SharpnessConfig::S2Sam(S2SamConfig::new()),
        SharpnessConfig::Wsam(WsamConfig::new()),
        SharpnessConfig::ZoSam(ZoSamConfig::new().with_reuse(2)),
    ] {
        let mut optim = config.init(SgdConfig::new().init()).unwrap();
        let mut model = net();
        for step in 0..6 {
            let loss = |net: &Net| match step {
                2 => loss(net) + undefined(net),
                _ => loss(net),
            };
            (model, _) = optim
                .step_with(0.01, model, &mut Sparsity::dense(), loss)
                .unwrap();
            assert!(values(&model).norm().is_finite(), "{config:?} at {step}");
        }
    }
}

/// The base optimizer alone is the user's to judge: its step is burn's, NaN and all.
#[test]
fn a_plain_step_is_not_second_guessed() {
    let loss = linear_loss(batch(8));
    let broken = |net: &Net| loss(net) + undefined(net);
    let (model, report) = plain()
        .step_with(0.1, net(), &mut Sparsity::dense(), broken)
        .unwrap();
    assert_eq!(report.plain, None);
    assert!(values(&model).norm().is_nan());
}
