//! Inside burn's learner: the same steps, and checkpoints that hold everything.

use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::{
    AdamWConfig, GradientsAccumulator, ModuleOptimizer, MultiGradientsParams, OptimizerRecord,
    SgdConfig,
};
use burn::store::ModuleRecord;
use burn::tensor::{Device, Distribution, Tensor};
use burn::train::TrainStep;
use zosam::checkpoint::fingerprint;
use zosam::objective::seeded;
use zosam::perturb::*;
use zosam::sparse::{GradientMemory, Growth};
use zosam::train::{LossStep, SparseModel};
use zosam::tree::{self, values};
use zosam::{RigL, Snfs, Sparsity, SparsityMethod, TopKast};

#[derive(Module, Debug)]
struct Net {
    first: Linear,
    norm: BatchNorm,
    dropout: Dropout,
    last: Linear,
}

impl LossStep for Net {
    type Input = Tensor<2>;
    type Output = ();

    fn loss(&self, batch: &Tensor<2>) -> (Tensor<1>, ()) {
        let hidden = self.norm.forward(self.first.forward(batch.clone()));
        let output = self.last.forward(self.dropout.forward(hidden));
        (output.powi_scalar(2).mean(), ())
    }
}

fn device() -> Device {
    Device::flex().autodiff()
}

/// With weights of its own for each seed; batch norm and dropout only where a test is to the bit.
fn net(seed: u64, dropout: f64) -> Net {
    seeded(&device(), seed, || {
        let net = Net {
            first: LinearConfig::new(6, 8).init(&device()),
            norm: BatchNormConfig::new(8).init(&device()),
            dropout: DropoutConfig::new(dropout).init(),
            last: LinearConfig::new(8, 5).init(&device()),
        };
        tree::values(&net);
        net
    })
}

fn batch(number: u64) -> Tensor<2> {
    let normal = Distribution::Normal(0.0, 1.0);
    seeded(&device(), 1000 + number, || {
        Tensor::random([8, 6], normal, &device())
    })
}

fn attached(net: Net, method: impl SparsityMethod + 'static) -> (Net, Sparsity) {
    let mut sparsity = Sparsity::new(method);
    let net = sparsity
        .attach(net, |net: &Net| net.loss(&batch(0)).0)
        .unwrap();
    (net, sparsity)
}

fn rigl() -> RigL {
    RigL::new(0.5, 100).with_update_every(3)
}

fn zo_sam() -> ZeroOrder {
    ZoSamConfig::new().with_rho(0.3).build().unwrap()
}

fn wrapped(seed: u64, method: impl SparsityMethod + 'static) -> SparseModel<Net, ZeroOrder> {
    let (net, sparsity) = attached(net(seed, 0.2), method);
    SparseModel::new(net, sparsity, zo_sam(), 7).unwrap()
}

fn adam() -> ModuleOptimizer {
    AdamWConfig::new().init()
}

fn train(
    mut model: SparseModel<Net, ZeroOrder>,
    optim: &mut ModuleOptimizer,
    steps: std::ops::Range<u64>,
) -> SparseModel<Net, ZeroOrder> {
    for step in steps {
        let output = model.step(batch(step));
        model = model.optimize(optim, 0.05.into(), output.grads);
    }
    model
}

/// What the learner does in two calls is the whole-model step, to the bit: weights, running statistics, masks and momenta.
#[test]
fn the_learner_makes_the_same_steps() {
    let mut optim = adam();
    let model = train(wrapped(1, rigl()), &mut optim, 0..8);

    let (mut expected, mut sparsity) = attached(net(1, 0.2), rigl());
    let mut whole = ZoSamConfig::new()
        .with_rho(0.3)
        .init(AdamWConfig::new().build())
        .unwrap()
        .with_seed(7);
    for step in 0..8 {
        let data = batch(step);
        let loss = |net: &Net| net.loss(&data).0;
        expected = whole
            .step_with(0.05, expected, &mut sparsity, loss)
            .unwrap()
            .0;
    }
    assert_eq!(fingerprint(model.inner()), fingerprint(&expected));
    assert_eq!(model.masks().fingerprint(), sparsity.masks().fingerprint());
    assert_eq!(model.steps(), 8);
    let churn = model.report();
    assert_eq!(churn.live_weights, sparsity.report(&expected).live_weights);
}

/// A record of the model and one of the optimizer, as the learner writes them, hold all that a run needs: stopped before, at and
/// after a change of masks, it goes on to the bit in a process that began with other weights and masks.
#[test]
fn records_hold_everything() {
    fn resumes<T: SparsityMethod + 'static>(method: impl Fn() -> T) {
        for stop in 2..6 {
            let mut optim = adam();
            let begun = train(wrapped(1, method()), &mut optim, 0..stop);
            let model = begun.clone().into_record().into_bytes().unwrap();
            let state = optim.into_bytes().unwrap();
            let expected = train(begun, &mut optim, stop..9);

            let record = ModuleRecord::from_bytes(model).unwrap();
            let resumed = wrapped(2, method()).try_load_record(record).unwrap();
            let record = OptimizerRecord::from_bytes(state).unwrap();
            let mut optim = adam().load_record(record);
            assert_eq!(resumed.steps(), stop);
            let resumed = train(resumed, &mut optim, stop..9);
            assert_eq!(fingerprint(resumed.inner()), fingerprint(expected.inner()));
            let masks = [&resumed, &expected].map(|model| model.masks().fingerprint());
            assert_eq!(masks[0], masks[1]);
        }
    }
    resumes(rigl);
    resumes(|| Snfs::new(0.5, 3, 100));
    resumes(|| TopKast::new(0.5, 0.3));
    resumes(|| rigl().with_memory(GradientMemory::Sum { steps: 2 }));
}

/// Perturbations that remember do so in the learner as they do in the whole-model step, and in its records.
#[test]
fn memories_travel_in_records() {
    let guided = |m: usize| {
        let family = Directions::Guided(Guide::default());
        SharpnessConfig::ZoSam(ZoSamConfig::new().with_family(family).with_directions(m))
    };
    for config in [
        SharpnessConfig::LookSam(LookSamConfig::new().with_every(3)),
        SharpnessConfig::MomentumSam(MomentumSamConfig::new()),
        SharpnessConfig::FriendlySam(FriendlySamConfig::new()),
        guided(0),
        guided(2),
        SharpnessConfig::ZoSam(ZoSamConfig::new().with_reuse(3)),
    ] {
        let start = |seed| {
            let (model, sparsity) = attached(net(seed, 0.2), rigl());
            SparseModel::new(model, sparsity, config.build().unwrap(), 7).unwrap()
        };
        let run = |mut model: SparseModel<Net, Sharpness>, optim: &mut ModuleOptimizer, steps| {
            for step in steps {
                let output = model.step(batch(step));
                model = model.optimize(optim, 0.05.into(), output.grads);
            }
            model
        };
        let mut optim = adam();
        let begun = run(start(1), &mut optim, 0..5);
        let model = begun.clone().into_record().into_bytes().unwrap();
        let state = optim.into_bytes().unwrap();
        let expected = run(begun, &mut optim, 5..9);

        let record = ModuleRecord::from_bytes(model).unwrap();
        let resumed = start(2).try_load_record(record).unwrap();
        let record = OptimizerRecord::from_bytes(state).unwrap();
        let resumed = run(resumed, &mut adam().load_record(record), 5..9);
        let both = [&resumed, &expected].map(|model| fingerprint(model.inner()));
        assert_eq!(both[0], both[1], "{config:?}");

        let (mut whole, mut sparsity) = attached(net(1, 0.2), rigl());
        let base = AdamWConfig::new().build();
        let mut optim = config.init(base).unwrap().with_seed(7);
        for step in 0..9 {
            let data = batch(step);
            let loss = |net: &Net| net.loss(&data).0;
            whole = optim.step_with(0.05, whole, &mut sparsity, loss).unwrap().0;
        }
        assert_eq!(fingerprint(&whole), both[1], "{config:?}");
    }
}

/// What the learner has no place for.
#[test]
fn samples_and_drifts_are_refused() {
    for config in [
        SharpnessConfig::Esam(EsamConfig::new()),
        SharpnessConfig::Wsam(WsamConfig::new()),
        SharpnessConfig::ZoSam(ZoSamConfig::new().with_fraction(0.5)),
    ] {
        let (model, sparsity) = attached(net(1, 0.2), rigl());
        let result = SparseModel::new(model, sparsity, config.build().unwrap(), 7);
        assert!(
            result
                .map(drop)
                .unwrap_err()
                .to_string()
                .contains("step_on")
        );
    }
}

/// Accumulated gradients are burn's sum of those of `step_accumulated`, each with its own perturbation.
#[test]
fn accumulation_is_that_of_the_whole_step() {
    let net = net(1, 0.0);
    let start = || attached(tree::twin(&net), rigl());
    let (model, sparsity) = start();
    let model = SparseModel::new(model, sparsity, zo_sam(), 7).unwrap();
    let mut accumulator = GradientsAccumulator::new();
    for number in 1..4 {
        let output = model.step(batch(number));
        accumulator.accumulate(&model, output.grads);
    }
    let mut optim = SgdConfig::new().init();
    let model = model.optimize(&mut optim, 0.1.into(), accumulator.grads());

    let (expected, mut sparsity) = start();
    let mut whole = ZoSamConfig::new()
        .with_rho(0.3)
        .init(SgdConfig::new().build())
        .unwrap()
        .with_seed(7);
    let losses = [1, 2, 3]
        .map(batch)
        .map(|data| move |net: &Net| net.loss(&data).0);
    // The learner's sum of three is three times the mean.
    let (expected, _) = whole
        .step_accumulated(0.3, expected, &mut sparsity, losses)
        .unwrap();
    let difference = values(model.inner()).add_scaled(&values(&expected), -1.0);
    // Three gradients, summed and scaled in another order.
    assert!(difference.norm() < 1e-6, "{}", difference.norm());
}

/// Two replicas with half of a batch each are one with the whole, where theory says so: no perturbation, no batch norm.
#[test]
fn two_replicas_are_one() {
    #[derive(Module, Debug)]
    struct Line {
        linear: Linear,
    }

    impl LossStep for Line {
        type Input = Tensor<2>;
        type Output = ();

        fn loss(&self, batch: &Tensor<2>) -> (Tensor<1>, ()) {
            (self.linear.forward(batch.clone()).powi_scalar(2).mean(), ())
        }
    }

    let line = seeded(&device(), 3, || {
        let line = Line {
            linear: LinearConfig::new(6, 10).init(&device()),
        };
        tree::values(&line);
        line
    });
    let halves = [batch(1), batch(2)];
    let union = Tensor::cat(halves.to_vec(), 0);
    let wrapped = || {
        let mut sparsity = Sparsity::new(RigL::new(0.5, 10).with_update_every(1));
        let line = sparsity
            .attach(line.clone(), |line: &Line| line.loss(&union).0)
            .unwrap();
        SparseModel::new(line, sparsity, Identity, 0).unwrap()
    };
    let replicas = wrapped();
    let parts = halves.map(|half| {
        let worker = replicas.clone().fork(&Device::flex());
        std::thread::spawn(move || worker.step(half).grads)
            .join()
            .unwrap()
    });
    let grads = MultiGradientsParams {
        grads: parts.map(|part| (part, Device::flex())).into(),
    };
    let two = replicas.optimize_multi(&mut SgdConfig::new().init(), 0.05.into(), grads);
    let one = wrapped();
    let output = one.step(union.clone());
    let one = one.optimize(&mut SgdConfig::new().init(), 0.1.into(), output.grads);
    assert_eq!(one.masks().fingerprint(), two.masks().fingerprint());
    let difference = values(one.inner()).add_scaled(&values(two.inner()), -1.0);
    // Sums of gradients in another order.
    assert!(difference.norm() < 1e-6, "{}", difference.norm());
}

/// The learner's clipping stays burn's; what cannot work says so.
#[test]
fn what_does_not_fit_is_refused() {
    let (net, sparsity) = attached(net(1, 0.0), rigl());
    let clean = sparsity.with_growth(Growth::Clean);
    assert!(SparseModel::new(net.clone(), clean, zo_sam(), 0).is_err());
    let unattached = Sparsity::new(rigl());
    assert!(SparseModel::new(net.clone(), unattached, zo_sam(), 0).is_err());
    let record = wrapped(1, rigl()).into_record();
    assert!(net.try_load_record(record).is_err());
    let mut optim = SgdConfig::new()
        .with_gradient_clipping(Some(GradientClippingConfig::Norm(0.1)))
        .init();
    let model = wrapped(1, rigl());
    let before = values(model.inner());
    let output = model.step(batch(1));
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
