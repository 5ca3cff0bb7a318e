//! What the learner has no place for, and what stays burn's.

use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::SgdConfig;

use super::*;

/// The learner's clipping stays burn's; what cannot work says so.
#[test]
fn what_does_not_fit_is_refused() {
    for config in [
        SharpnessConfig::Esam(EsamConfig::new()),
        SharpnessConfig::ZoSam(ZoSamConfig::new().with_fraction(0.5)),
    ] {
        let (model, sparsity) = attached(net(1, 0.2), rigl());
        let result = SparseModel::new(model, sparsity, config.clone(), 7);
        let error = result.map(drop).unwrap_err().to_string();
        assert!(error.contains("step_on"), "{error}");
    }
    let net = net(1, 0.0);
    let unattached = Sparsity::new(rigl());
    assert!(SparseModel::new(net.clone(), unattached, zo_sam(), 0).is_err());
    let record = wrapped(1, rigl()).into_record();
    assert!(net.try_load_record(record).is_err());
    let mut optim = SgdConfig::new()
        .with_gradient_clipping(Some(GradientClippingConfig::Norm(0.1)))
        .init();
    let model = wrapped(1, rigl());
    let before = values(model.inner());
    let output = TrainStep::step(&model, batch(1));
    let after = model.optimize(&mut optim, 1.0.into(), output.grads);
    for (id, moved) in values(after.inner()).add_scaled(&before, -1.0).iter() {
        let norm = moved
            .clone()
            .powi_scalar(2)
            .sum()
            .sqrt()
            .into_scalar::<f32>();
        assert!(norm < 0.1001, "{id:?} moved by {norm}");
    }
}

/// A report of the learner's result, which is in validation mode, counts the model's weights.
#[test]
fn a_trained_model_is_reported() {
    let model = wrapped(1, rigl());
    let reports = [model.valid().report(), model.report()];
    let shares = reports.map(|report| report.sparsity_over_model());
    assert_eq!(shares[0], shares[1]);
    assert!(shares[0] > 0.3 && shares[0] < 0.5, "{shares:?}");
}
