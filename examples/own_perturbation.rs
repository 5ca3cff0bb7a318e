//! A perturbation of your own: SAM along a gradient that noise is mixed into.
//!
//! ```text
//! cargo run --release --example own_perturbation
//! ```

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::Device;
use zosam::data::{Loader, LoaderConfig, mnist};
use zosam::models::{ResNet, ResNetConfig};
use zosam::objective::{BatchLoss, Objective};
use zosam::perturb::{Ascent, Identity, Memory, Perturbation, PlainReason, Scope, Site};
use zosam::tree::DirectionDistribution;
use zosam::{RigL, SamConfig, SharpOptimizer, Sparsity};

/// `ε = ρ d/‖d‖` with `d = g/‖g‖ + s u/‖u‖`, `u` Gaussian on the live weights.
#[derive(Debug, Clone)]
struct NoisySam {
    rho: f64,
    share: f64,
}

impl Perturbation for NoisySam {
    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        let here = objective.gradient(None);
        let gradient = site.restrict(here.vector.clone(), Scope::AllTrainable);
        let noise = site.direction(0, DirectionDistribution::Gaussian, Scope::AllTrainable);
        let (length, of_noise) = (gradient.norm(), noise.norm());
        if !(length > 0.0 && of_noise > 0.0) {
            return Ascent::given_up(PlainReason::ZeroEstimate);
        }
        let gradient = gradient.scaled(1.0 / length);
        let direction = gradient.add_scaled(&noise, self.share / of_noise);
        Ascent {
            buffers: Some(here.twin),
            here: Some(here.vector),
            ..Ascent::along(direction, site.radius(self.rho))
        }
    }
}

fn main() -> Result<(), zosam::Error> {
    zosam::keep_freed_memory();
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fashion-mnist");
    let (train, _) = mnist(assets)?;
    let config = LoaderConfig {
        batch_size: 50,
        normalization: Some(train.channel_statistics()),
        ..LoaderConfig::evaluation()
    };
    let train = Loader::new(train.take(1000), config)?;
    println!("{:>10}  {:>8}  passes of a step", "", "loss");
    run("none", Identity, &train)?;
    run("SAM", SamConfig::new().build()?, &train)?;
    let noisy = NoisySam {
        rho: 0.05,
        share: 0.5,
    };
    run("noisy SAM", noisy, &train)
}

/// Trains under RigL and prints the mean loss of the last epoch, at the points where the gradient was measured.
fn run(name: &str, perturbation: impl Perturbation, train: &Loader) -> Result<(), zosam::Error> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let config = ResNetConfig::resnet32(10).with_depth(8).with_channels(1);
    let mut sparsity = Sparsity::new(RigL::new(0.9, 45).with_update_every(10));
    let mut optim = SharpOptimizer::new(perturbation, AdamWConfig::new().init());
    let mut net = sparsity.attach_on(config.with_width(8).init(&device)?, &())?;
    let (mut mean, mut passes) = (0.0, None);
    for epoch in 0..3 {
        mean = 0.0;
        for batch in train.epoch(epoch, 0) {
            let (images, labels) = batch?.to_tensors(&device);
            let loss = |net: &ResNet| net.loss(images.clone(), labels.clone());
            let (next, report) = optim.step_with(5e-3, net, &mut sparsity, loss)?;
            net = next;
            mean += report.loss_value() / train.len() as f64;
            passes = Some(report.passes);
        }
    }
    let passes = passes.expect("there was a batch");
    let (forwards, backwards) = (passes.forwards, passes.backwards);
    println!("{name:>10}  {mean:8.3}  {forwards} forward, {backwards} backward");
    Ok(())
}
