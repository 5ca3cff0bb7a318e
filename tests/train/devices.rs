//! Several devices: burn's multi-device strategies, and what they rely on.

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::optim::{MultiGradientsParams, SgdConfig};
use burn::tensor::TensorData;
use burn::train::{ExecutionStrategy, Learner, MultiDeviceOptim, SupervisedTraining};

use super::*;

/// Two workers with half of a batch each are one with the whole, where theory says so: no perturbation, no batch norm.
#[test]
fn two_workers_are_one() {
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
        let mut sparsity = Sparsity::new(RigL::new(0.5).until(10).every(1));
        let line = sparsity
            .attach(line.clone(), |line: &Line| line.loss(&union).0)
            .unwrap();
        SparseModel::new(line, sparsity, Identity, 0).unwrap()
    };
    let replicas = wrapped();
    let parts = halves.map(|half| on_a_worker(&replicas, half));
    let grads = MultiGradientsParams {
        grads: parts.map(|part| (part, Device::flex())).into(),
    };
    let two = replicas.optimize_multi(&mut SgdConfig::new().init(), 0.05.into(), grads);
    let one = wrapped();
    let output = TrainStep::step(&one, union.clone());
    let one = one.optimize(&mut SgdConfig::new().init(), 0.1.into(), output.grads);
    assert_eq!(one.masks().fingerprint(), two.masks().fingerprint());
    let difference = values(one.inner()).add_scaled(&values(two.inner()), -1.0);
    // Sums of gradients in another order.
    assert!(difference.norm() < 1e-6, "{}", difference.norm());
}

/// As burn's learner does it: a clone for each worker, forked on the worker's thread.
fn on_a_worker<M, P>(model: &SparseModel<M, P>, item: Tensor<2>) -> burn::optim::GradientsParams
where
    M: LossStep<Input = Tensor<2>> + Module + Sync + 'static,
    P: Perturbation,
{
    let clone = model.clone();
    let worker = std::thread::spawn(move || TrainStep::step(&clone.fork(&device()), item).grads);
    worker.join().unwrap()
}

/// Workers look along directions of their own and draw dropout of their own, the same in each run.
#[test]
fn workers_draw_apart() {
    let gradients = || {
        let model = wrapped(1, rigl());
        let [first, second] = [0, 1].map(|_| on_a_worker(&model, batch(1)));
        [first, second].map(|gradients| tree::gradients(model.inner(), &gradients).norm())
    };
    let [first, second] = gradients();
    assert_ne!(first, second, "equal data, other draws");
    assert_eq!(gradients(), [first, second]);
    let alone = wrapped(1, rigl());
    let output = TrainStep::step(&alone, batch(1)).grads;
    let alone = tree::gradients(alone.inner(), &output).norm();
    assert_eq!(alone, first, "the first worker is the only one there is");
}

struct Rows;

impl Batcher<Vec<f32>, Tensor<2>> for Rows {
    fn batch(&self, rows: Vec<Vec<f32>>, device: &Device) -> Tensor<2> {
        let shape = [rows.len(), rows[0].len()];
        Tensor::from_data(TensorData::new(rows.concat(), shape), device)
    }
}

fn loader(device: &Device) -> Arc<dyn DataLoader<Tensor<2>>> {
    let rows = (0..8).flat_map(|number| {
        let batch: Vec<f32> = batch(number).into_data().iter::<f32>().collect();
        batch.chunks(6).map(<[f32]>::to_vec).collect::<Vec<_>>()
    });
    let builder = DataLoaderBuilder::new(Rows).batch_size(8);
    let builder = builder.set_device(device.clone());
    builder.build(InMemDataset::new(rows.collect()))
}

fn fitted<P: Perturbation>(strategy: ExecutionStrategy, perturbation: P) -> (String, u64) {
    let folder = tempfile::tempdir().unwrap();
    let (net, sparsity) = attached(net(1, 0.2), rigl());
    let model = SparseModel::new(net, sparsity, perturbation, 7).unwrap();
    let (training, validation) = (loader(&device()), loader(&Device::flex()));
    let training = SupervisedTraining::new(folder.path(), training, validation)
        .with_training_strategy(strategy.into())
        .with_application_logger(None)
        .num_epochs(1);
    let result = training.launch(Learner::new(model, adam(), 0.05));
    let model = result.model;
    (fingerprint(model.inner()), model.steps())
}

/// burn's learner on one device is a loop of our steps; on two it gives the same run each time, with
/// either way to update, for perturbations that draw, that remember and that move the descent.
#[test]
fn burns_strategies_repeat() {
    let one = fitted(ExecutionStrategy::single(device()), zo_sam());
    let by_hand = train(wrapped(1, rigl()), &mut adam(), 0..8);
    assert_eq!(one, (fingerprint(&by_hand.inner().valid()), 8));
    for config in [
        SharpnessConfig::ZoSam(ZoSamConfig::new().with_rho(0.3)),
        SharpnessConfig::Gsam(GsamConfig::new()),
        SharpnessConfig::Wsam(WsamConfig::new()),
        SharpnessConfig::LookSam(LookSamConfig::new().with_every(2)),
        SharpnessConfig::FriendlySam(FriendlySamConfig::new()),
    ] {
        let on_two = |how| {
            let strategy = ExecutionStrategy::multi(vec![device(), device()], how);
            fitted(strategy, config.clone())
        };
        let main = on_two(MultiDeviceOptim::OptimMainDevice);
        assert_eq!(main.1, 4, "two batches a step");
        assert_eq!(
            main,
            on_two(MultiDeviceOptim::OptimMainDevice),
            "{config:?}"
        );
        assert_eq!(main, on_two(MultiDeviceOptim::OptimSharded), "{config:?}");
    }
}
