//! The laws; the numbers are those of `docs/VERIFICATION.md`.

use std::any::type_name;
use std::cell::Cell;

use burn::module::{ModuleVisitor, Param};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, Sgd, SgdConfig};
use burn::tensor::Tensor;
use zosam::checkpoint::Store;
use zosam::model_file::{load_model, save_model};
use zosam::perturb::*;
use zosam::sparse::{Method, Sparsity};
use zosam::tree;

use super::super::setup::{Case, Optim, device, methods, perturbations};
use super::{Example, Float, bytes, loss, new, samples};

fn name<E>() -> &'static str {
    type_name::<E>().rsplit("::").next().unwrap_or_default()
}

fn sgd<E: Example>() -> Sgd {
    let momentum = MomentumConfig::new().with_dampening(0.0);
    let momentum = (E::FLOAT != Float::Wider).then_some(momentum);
    SgdConfig::new().with_momentum(momentum).build()
}

/// Those of `perturbations` and those that look at samples.
fn cases(rho: f64) -> Vec<Case> {
    let mut cases = perturbations(rho);
    let esam = EsamConfig::new().with_rho(rho);
    cases.push(("esam", SharpnessConfig::Esam(esam), None));
    let half = ZoSamConfig::new().with_rho(rho).with_fraction(0.5);
    cases.push(("zo on a half", SharpnessConfig::ZoSam(half), None));
    cases
}

/// One of each kind: fixed masks, growth by gradient and at random, memory, rewinding, latent values.
fn some_methods() -> Vec<(&'static str, Method)> {
    let wanted = [
        "dense",
        "random",
        "rigl",
        "snfs",
        "lth",
        "topkast",
        "set normal",
    ];
    let mut methods = methods();
    methods.retain(|(name, _)| wanted.contains(name));
    methods
}

fn rigl() -> Method {
    let found = methods().into_iter().find(|(name, _)| *name == "rigl");
    found.expect("RigL is a method").1
}

fn attach<E: Example>(method: &Method) -> (E, Sparsity) {
    let mut sparsity = Sparsity::from_boxed(method.clone().boxed()).with_seed(3);
    let batch = E::batch(0);
    let model = sparsity.attach(new::<E>(&device()), |model: &E| loss(model, &batch));
    (model.unwrap().attached(), sparsity)
}

fn steps<E: Example>(
    optim: &mut Optim<Sgd>,
    mut model: E,
    sparsity: &mut Sparsity,
    numbers: std::ops::Range<u64>,
) -> E {
    for number in numbers {
        model = optim
            .step_on(0.05, model, sparsity, samples::<E>(number))
            .unwrap()
            .0;
    }
    model
}

fn trained<E: Example>(method: &Method, config: &SharpnessConfig) -> E {
    let (model, mut sparsity) = attach::<E>(method);
    let mut optim = config.init(sgd::<E>()).unwrap();
    steps(&mut optim, model, &mut sparsity, 0..5)
}

/// Law 1: without a perturbation the step is burn's own. Tied weights are brought together after each of burn's.
pub fn plain_steps_are_burns<E: Example>() {
    if E::FLOAT == Float::Narrower {
        return;
    }
    let mut theirs = new::<E>(&device()).attached();
    let mut base = ModuleOptimizer::from(sgd::<E>());
    for number in 0..5 {
        let gradients = loss(&theirs, &E::batch(number)).backward();
        let gradients = GradientsParams::from_grads(gradients, &theirs);
        theirs = tree::retied(base.step(0.05, theirs, gradients));
    }
    let dense = Method::Dense(Default::default());
    let ours = trained::<E>(&dense, &SharpnessConfig::None);
    assert!(bytes(&ours) == bytes(&theirs), "{}", name::<E>());
}

/// Law 1: at radius 0 too.
pub fn radius_zero_is_the_base_optimizer<E: Example>() {
    let expected = bytes(&trained::<E>(&rigl(), &SharpnessConfig::None));
    for (case, config, _) in cases(0.0) {
        // One has a weight decay of its own, the other leaves samples out.
        if !["msam decayed", "esam"].contains(&case) {
            let found = bytes(&trained::<E>(&rigl(), &config));
            assert!(found == expected, "{} {case}", name::<E>());
        }
    }
}

/// Laws 2 and 6, and float types.
fn check_step<E: Example>(case: &str, method: &str, config: &SharpnessConfig, of: &Method) {
    let (mut model, mut sparsity) = attach::<E>(of);
    let mut optim = config.init(sgd::<E>()).unwrap();
    let total = sparsity.masks().prunable_weights() as f64;
    for number in 0..8 {
        let what = format!("{}, {case}, {method}, step {number}", name::<E>());
        let masks = sparsity.masks().clone();
        let types = bytes(&model).into_iter().map(|(_, data)| data.dtype());
        let types: Vec<_> = types.collect();
        let trainable = tree::leaves(&model);
        let stepped = optim.step_on(0.05, model, &mut sparsity, samples::<E>(number));
        let report;
        (model, report) = stepped.unwrap();
        if let Some(offset) = report.offset {
            let vector = offset.vector();
            // These measure length by the weights and by the Fisher information; ESAM's is ρ/β.
            if !["asam", "fisher sam", "esam"].contains(&case) {
                assert!((vector.norm() / 0.05 - 1.0).abs() < 1e-6, "{what}");
            }
            let live = masks.project(vector.clone());
            assert_eq!(live.add_scaled(&vector, -1.0).norm(), 0.0, "{what}");
            let known = |id| trainable.iter().any(|leaf| leaf.id == id);
            assert!(vector.iter().all(|(id, _)| known(id)), "{what}");
        }
        let now = bytes(&model).into_iter().map(|(_, data)| data.dtype());
        assert!(now.eq(types), "{what}");
        for leaf in sparsity.masks().leaves() {
            let live = sparsity.masks().live_set(leaf.id).unwrap();
            let data = bytes(&model)
                .into_iter()
                .find(|(path, _)| *path == leaf.path);
            let values: Vec<f64> = data.unwrap().1.iter::<f64>().collect();
            assert!(values.iter().all(|value| value.is_finite()), "{what}");
            let mut dead = values.iter().zip(&live).filter(|(_, live)| !**live);
            assert!(dead.all(|(value, _)| value.to_bits() == 0), "{what}");
        }
        let share = 1.0 - sparsity.method().sparsity_after(number + 1);
        let (live, budget) = (sparsity.masks().live_weights(), (share * total).round());
        // A ticket loses ⌈rate · live⌉ weights a level, which the closed form rounds once.
        let rounding = if method == "lth" { 1.0 } else { 0.0 };
        // Layers that sit out a change of masks keep their share.
        if !["Unused", "Heads", "FrozenLater"].contains(&name::<E>()) {
            assert!(
                (live as f64 - budget).abs() <= rounding,
                "{what}: {live} of {budget}"
            );
        }
    }
}

pub fn steps_keep_masks_radii_and_types<E: Example>() {
    for (case, config, _) in cases(0.05) {
        check_step::<E>(case, "rigl", &config, &rigl());
    }
    let sam = SharpnessConfig::Sam(SamConfig::new());
    for (method, of) in some_methods() {
        check_step::<E>("sam", method, &sam, &of);
    }
}

/// Id, trainability, strategy and type of every float tensor.
#[derive(Default, PartialEq, Debug)]
struct Settings(Vec<String>);

impl ModuleVisitor for Settings {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.base();
        self.0.push(format!(
            "{} {} {:?} {:?}",
            param.id,
            tensor.is_require_grad(),
            tensor.dtype(),
            tensor
                .gradient_checkpointing_strategy()
                .map(|strategy| format!("{strategy:?}")),
        ));
    }
}

fn settings<E: Example>(model: &E) -> Settings {
    let mut settings = Settings::default();
    model.visit(&mut settings);
    settings
}

/// Law 4: probes leave the model alone, and a step changes values only, with checkpointing or without.
pub fn settings_and_values_survive_probes<E: Example>() {
    for device in [device(), device().gradient_checkpointing()] {
        for (case, config, _) in cases(0.05) {
            let what = format!("{} {case}", name::<E>());
            let model = new::<E>(&device).attached();
            // Clones of a burn module share running statistics, which a step advances.
            let weights = |model: &E| {
                let mut tensors = bytes(model);
                tensors.retain(|(path, _)| !path.contains("running"));
                tensors
            };
            let (before, values) = (settings(&model), weights(&model));
            let mut optim = config.init(sgd::<E>()).unwrap();
            let stepped =
                optim.step_on(0.05, model.clone(), &mut Sparsity::dense(), samples::<E>(1));
            let stepped = stepped.unwrap().0;
            assert_eq!(settings(&stepped), before, "{what}");
            assert!(weights(&stepped) != values, "{what}");
            assert!(weights(&model) == values, "{what}");
        }
    }
}

/// Law 10.
pub fn unusable_estimates_give_plain_steps<E: Example>() {
    let run = |config: &SharpnessConfig, poisoned: u64, poison: f32| {
        let (model, mut sparsity) = attach::<E>(&rigl());
        let mut optim = config.init(sgd::<E>()).unwrap();
        let (batch, calls) = (E::batch(1), Cell::new(0));
        let stepped = optim.step_with(0.05, model, &mut sparsity, |model: &E| {
            calls.set(calls.get() + 1);
            let loss = loss(model, &batch);
            if calls.get() <= poisoned {
                loss * poison
            } else {
                loss
            }
        });
        let (model, report) = stepped.unwrap();
        (bytes(&model), report.plain)
    };
    let plain = run(&SharpnessConfig::None, 0, 1.0).0;
    let zo = |m| SharpnessConfig::ZoSam(ZoSamConfig::new().with_directions(m));
    let sam = SharpnessConfig::Sam(SamConfig::new());
    for (config, poisoned) in [(zo(1), 2), (zo(2), 4), (sam, 1)] {
        for (poison, reason) in [
            (f32::NAN, PlainReason::NonFinite),
            (f32::INFINITY, PlainReason::NonFinite),
            (0.0, PlainReason::ZeroEstimate),
        ] {
            let (found, plainly) = run(&config, poisoned, poison);
            let what = format!("{}, {config:?}, {poison}", name::<E>());
            assert_eq!(plainly, Some(reason), "{what}");
            assert!(found == plain, "{what}");
        }
    }
}

/// Law 8, through a folder.
pub fn resumed_runs_equal_uninterrupted_ones<E: Example>() {
    let wanted = [
        "none",
        "zo",
        "zo reused",
        "zo guided m=3",
        "looksam",
        "msam decayed",
    ];
    for (case, config, _) in perturbations(0.05) {
        if wanted.contains(&case) {
            check_resume::<E>(case, "rigl", &config, &rigl());
        }
    }
    let sam = SharpnessConfig::Sam(SamConfig::new());
    for (method, of) in some_methods() {
        check_resume::<E>("sam", method, &sam, &of);
    }
}

fn check_resume<E: Example>(case: &str, method: &str, config: &SharpnessConfig, of: &Method) {
    let (model, mut sparsity) = attach::<E>(of);
    let mut optim = config.init(sgd::<E>()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let model = steps(&mut optim, model, &mut sparsity, 0..4);
    store.save(&model, &optim, &sparsity, &()).unwrap();
    let model = steps(&mut optim, model, &mut sparsity, 4..7);

    let mut resumed = Sparsity::from_boxed(of.clone().boxed()).with_seed(3);
    let start = new::<E>(&device()).attached();
    let optim = config.init(sgd::<E>()).unwrap();
    let saved = store.latest().unwrap().unwrap();
    let (again, mut optim, ()) = store.load(&saved, start, optim, &mut resumed).unwrap();
    let again = steps(&mut optim, again, &mut resumed, 4..7);
    let what = format!("{}, {case}, {method}", name::<E>());
    assert!(bytes(&again) == bytes(&model), "{what}");
    let masks = [&resumed, &sparsity].map(|sparsity| sparsity.masks().fingerprint());
    assert_eq!(masks[0], masks[1], "{what}");
}

/// A model file of a sparse model, read into another one.
pub fn model_files_round_trip<E: Example>() {
    let (model, mut sparsity) = attach::<E>(&rigl());
    let mut optim = SharpnessConfig::None.init(sgd::<E>()).unwrap();
    let model = steps(&mut optim, model, &mut sparsity, 0..5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save_model(&path, &model, sparsity.masks()).unwrap();
    let (loaded, masks) = load_model(&path, new::<E>(&device())).unwrap();
    assert_eq!(masks.live_weights(), sparsity.masks().live_weights());
    for ((path, found), (_, expected)) in bytes(&loaded).iter().zip(bytes(&model)) {
        assert_eq!(found.dtype(), expected.dtype(), "{} {path}", name::<E>());
        // Files hold f32.
        assert!(
            found.iter::<f32>().eq(expected.iter::<f32>()),
            "{} {path}",
            name::<E>()
        );
    }
}
