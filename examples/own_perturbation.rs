//! A perturbation of your own: SAM that moves the parameters of batch norm alone, beside SAM and none.
//!
//! ```text
//! cargo run --release --example own_perturbation
//! ```

use std::collections::HashSet;

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::Device;
use zosam::analysis::Evaluation;
use zosam::data::{Loader, LoaderConfig, mnist};
use zosam::models::{ResNet, ResNetConfig};
use zosam::objective::{BatchLoss, Objective, Passes};
use zosam::perturb::{Ascent, Identity, Memory, Perturbation, Site};
use zosam::{RigL, SamConfig, SharpOptimizer, Sparsity};

/// `ε = ρ g/‖g‖` on the parameters of batch norm, zero elsewhere.
///
/// Mueller et al., "Normalization Layers Are All That Sharpness-Aware Minimization Needs", NeurIPS 2023 (arXiv
/// 2306.04226).
#[derive(Debug, Clone)]
struct NormsOnly {
    rho: f64,
}

impl Perturbation for NormsOnly {
    fn ascend<M: Module, F: BatchLoss<M>>(
        &self,
        objective: &mut Objective<'_, M, F>,
        site: Site<'_>,
        _memory: &Memory,
    ) -> Ascent<M, F::Extra> {
        let norms = site.leaves.iter().filter(|leaf| leaf.layer == "BatchNorm");
        let norms: HashSet<_> = norms.map(|leaf| leaf.id).collect();
        Ascent::from_gradient(objective, |gradient| {
            let direction = gradient.filter(|id| norms.contains(&id));
            Ascent::along(direction, site.radius(self.rho))
        })
    }
}

fn main() -> Result<(), zosam::Error> {
    zosam::keep_freed_memory();
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fashion-mnist");
    let (train, test) = mnist(assets)?;
    let config = LoaderConfig {
        batch_size: 50,
        normalization: Some(train.channel_statistics()),
        ..LoaderConfig::evaluation()
    };
    let images = [train.take(1500), test.take(500)];
    let [train, test] = images.map(|images| Loader::new(images, config.clone()));
    let (train, test) = (train?, test?);
    run("none", Identity, &train, &test)?;
    run("SAM", SamConfig::new(), &train, &test)?;
    run("norms only", NormsOnly { rho: 0.05 }, &train, &test)
}

/// Trains under RigL and prints the accuracy on the test images, and what a step costs.
fn run(
    name: &str,
    perturbation: impl Perturbation,
    train: &Loader,
    test: &Loader,
) -> Result<(), zosam::Error> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let config = ResNetConfig::resnet32(10).with_depth(8).with_channels(1);
    let mut sparsity = Sparsity::new(RigL::new(0.9).until(70).every(10));
    let mut optim = SharpOptimizer::new(perturbation, AdamWConfig::new().init())?;
    let mut net = sparsity.attach_on(config.with_width(8).init(&device)?, &())?;
    let mut passes = Passes::default();
    for epoch in 0..3 {
        for batch in train.epoch(epoch, 0) {
            let (images, labels) = batch?.to_tensors(&device);
            let loss = |net: &ResNet| net.loss(images.clone(), labels.clone());
            let (next, report) = optim.step_with(5e-3, net, &mut sparsity, loss)?;
            (net, passes) = (next, report.passes);
        }
    }
    let trained = net.valid();
    let logits = |images| sparsity.run(|| trained.forward(images));
    let accuracy = 100.0 * Evaluation::of(test, &Device::flex(), logits)?.accuracy();
    let (forwards, backwards) = (passes.forwards, passes.backwards);
    println!(
        "{name:>10}: {accuracy:.1} % right; a step is {forwards} forward, {backwards} backward"
    );
    Ok(())
}
