//! The base optimizer that people have, and what becomes of a model where a step fails.

use std::sync::Mutex;

use burn::grad_clipping::GradientClippingConfig;
use burn::module::ParamGroup;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use zosam::masks::Masks;
use zosam::perturb::{Ascent, Perturbation, Site};
use zosam::{SamConfig, Set, SparsityMethod};

use super::*;

/// Parameter groups, clipping and state of a finished optimizer are used: `Plain` around it takes its steps.
#[test]
fn a_finished_optimizer_is_taken_as_it_is() {
    let made = || -> ModuleOptimizer {
        let clipping = Some(GradientClippingConfig::Norm(0.01));
        let momentum = Some(MomentumConfig::new());
        let sgd = SgdConfig::new().with_gradient_clipping(clipping);
        let biases = ParamGroup::from_regex("bias$").unwrap();
        sgd.with_momentum(momentum)
            .init()
            .with_group(biases, AdamWConfig::new().build(), None)
    };
    let (start, data) = (net(), [batch(8), batch(8), batch(8)]);
    let mut theirs = made();
    let mut expected = tree::twin(&start);
    let by_burn = |optim: &mut ModuleOptimizer, net: Net, data: &Tensor<2>| {
        let gradients = linear_loss(data.clone())(&net).backward();
        let gradients = GradientsParams::from_grads(gradients, &net);
        optim.step(0.1, net, gradients)
    };
    // It has state already when it is handed over.
    expected = by_burn(&mut theirs, expected, &data[0]);
    let mut ours = Plain::new(Identity, theirs.clone()).unwrap();
    let mut found = tree::twin(&expected);
    for data in &data[1..] {
        expected = by_burn(&mut theirs, expected, data);
        let step = ours.step_with(
            0.1,
            found,
            &mut Sparsity::dense(),
            linear_loss(data.clone()),
        );
        found = step.unwrap().0;
    }
    assert_eq!(fingerprint(&found), fingerprint(&expected));
    let bare = Plain::new(Identity, SgdConfig::new().build()).unwrap();
    let mut bare = bare;
    let step = bare.step_with(
        0.1,
        start,
        &mut Sparsity::dense(),
        linear_loss(data[0].clone()),
    );
    assert_ne!(fingerprint(&step.unwrap().0), fingerprint(&expected));
}

/// Every config takes both, and checkpoints of a finished optimizer resume.
#[test]
fn records_of_a_finished_optimizer_resume() {
    let made = || {
        let adam = AdamWConfig::new().init();
        SamConfig::new().init(adam).unwrap()
    };
    let (start, data) = (net(), [batch(8), batch(8)]);
    let mut optim = made();
    let (half, _) = optim
        .step_with(
            0.1,
            start,
            &mut Sparsity::dense(),
            linear_loss(data[0].clone()),
        )
        .unwrap();
    let mut resumed = made()
        .from_bytes(optim.to_bytes().unwrap(), optim.steps())
        .unwrap();
    let ends = [&mut optim, &mut resumed].map(|optim| {
        let loss = linear_loss(data[1].clone());
        let step = optim.step_with(0.1, tree::twin(&half), &mut Sparsity::dense(), loss);
        fingerprint(&step.unwrap().0)
    });
    assert_eq!(ends[0], ends[1]);
}

static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        HEARD.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

/// In the place of a burn optimizer a wrapper has no loss to look at: it says so, once, unless the gradients
/// are its own.
#[test]
fn a_step_without_a_perturbation_is_not_silent() {
    static LISTENER: Listener = Listener;
    log::set_logger(&LISTENER).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let warnings = || {
        let heard = HEARD.lock().unwrap();
        let about = heard.iter().filter(|line| line.contains("did not measure"));
        about.count()
    };
    let wrapped = || ZoSamConfig::new().init(AdamWConfig::new().build()).unwrap();
    let start = net();
    let loss = linear_loss(batch(8));
    let step =
        |optim: &mut ModuleOptimizer, gradients| optim.step(0.1, tree::twin(&start), gradients);
    let plain = || GradientsParams::from_grads(loss(&start).backward(), &start);

    let mut measuring = wrapped();
    let mut theirs = ModuleOptimizer::from(measuring.clone());
    let (_, gradients, _) = measuring
        .gradient(tree::twin(&start), &Sparsity::dense(), &loss)
        .unwrap();
    step(&mut theirs, gradients);
    assert_eq!(warnings(), 0);

    let mut silent = ModuleOptimizer::from(wrapped());
    for _ in 0..3 {
        step(&mut silent, plain());
    }
    assert_eq!(warnings(), 1);
}

/// A perturbation that makes weights NaN on purpose, through the gradient.
#[derive(Debug, Clone)]
struct Breaks;

impl Perturbation for Breaks {
    fn ascend<M: Module, F: zosam::objective::BatchLoss<M>>(
        &self,
        _: &mut zosam::objective::Objective<'_, M, F>,
        _: Site<'_>,
        _: &zosam::perturb::Memory,
    ) -> Ascent<M, F::Extra> {
        Ascent::none()
    }

    fn descend(
        &self,
        found: zosam::perturb::Gradients,
        _: Site<'_>,
        _: &mut zosam::perturb::Memory,
    ) -> zosam::perturb::Descent {
        found.perturbed.scaled(f64::NAN).into()
    }
}

/// A step that fails hands the model back as it was, running statistics included: before anything is evaluated,
/// and at a change of masks, when the weights have moved.
#[test]
fn an_error_does_not_cost_the_model() {
    let start = net();
    let before = fingerprint(&start);
    let loss = normed(batch(8));
    let mut unattached = Sparsity::new(RigL::new(0.5).until(100));
    let failed = plain().step_with(0.1, start, &mut unattached, &loss);
    let failed = failed.unwrap_err();
    assert!(failed.to_string().contains("attach"), "{failed}");
    let kept = failed.into_model();
    assert_eq!(fingerprint(&kept), before);

    let method = Set::new(0.5).every(1).until(100);
    assert!(method.is_due(1));
    let mut sparsity = Sparsity::new(method);
    let model = sparsity.attach(kept, &loss).unwrap();
    let mut optim = SharpOptimizer::new(Breaks, SgdConfig::new().init()).unwrap();
    let (mut model, mut masks) = (model, String::new());
    let failed = loop {
        let before = fingerprint(&model);
        masks = match masks.is_empty() {
            true => Masks::fingerprint(sparsity.masks()),
            false => masks,
        };
        match optim.step_with(0.1, model, &mut sparsity, &loss) {
            Ok((next, _)) => model = next,
            Err(failed) => break (failed, before),
        }
    };
    let (failed, before) = failed;
    assert!(matches!(failed.error, Error::NotANumber { .. }), "{failed}");
    assert_eq!(fingerprint(&failed.into_model()), before);
    assert_eq!(sparsity.masks().fingerprint(), masks);
}
