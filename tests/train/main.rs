//! Inside burn's learner: the same steps, on one device or several, and checkpoints that hold everything.

mod devices;
mod records;
mod refusals;
mod same_steps;

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::{Device, Distribution, Tensor};
use burn::train::{InferenceStep, TrainStep};
use zosam::checkpoint::fingerprint;
use zosam::objective::seeded;
use zosam::perturb::*;
use zosam::train::{LossStep, SparseModel};
use zosam::tree::{self, values};
use zosam::{RigL, Sparsity, SparsityMethod};

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

impl InferenceStep for Net {
    type Input = Tensor<2>;
    type Output = ();

    fn step(&self, batch: Tensor<2>) {
        self.loss(&batch);
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
    RigL::new(0.5).until(100).every(3)
}

fn zo_sam() -> ZoSamConfig {
    ZoSamConfig::new().with_rho(0.3)
}

fn wrapped(seed: u64, method: impl SparsityMethod + 'static) -> SparseModel<Net, ZoSamConfig> {
    let (net, sparsity) = attached(net(seed, 0.2), method);
    SparseModel::new(net, sparsity, zo_sam(), 7).unwrap()
}

fn adam() -> ModuleOptimizer {
    AdamWConfig::new().init()
}

fn train<P: Perturbation>(
    mut model: SparseModel<Net, P>,
    optim: &mut ModuleOptimizer,
    steps: std::ops::Range<u64>,
) -> SparseModel<Net, P> {
    for step in steps {
        let output = TrainStep::step(&model, batch(step));
        model = model.optimize(optim, 0.05.into(), output.grads);
    }
    model
}
