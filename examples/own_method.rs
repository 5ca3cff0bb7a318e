//! A sparsity method of your own beside RigL and fixed random masks:
//!
//! ```text
//! cargo run --release --example own_method
//! ```
//!
//! A run as short as this one shows how to compare, not which method is better.

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::Device;
use zosam::analysis::Evaluation;
use zosam::data::{Loader, LoaderConfig, mnist};
use zosam::models::{ResNet, ResNetConfig};
use zosam::perturb::Identity;
use zosam::sparse::{Draw, GradientMagnitude, Parts, Recipe, Saliency, UpdateSchedule};
use zosam::{Plain, RandomStatic, RigL, Sparsity, SparsityMethod};

const EPOCHS: u64 = 3;

/// RigL, but it drops the weights with the smallest `|w · ∂L/∂w|`, and the optimizer steps when masks change.
#[derive(Debug)]
struct BySaliency {
    sparsity: f64,
    steps: u64,
}

impl Recipe for BySaliency {
    fn parts(&self, draw: Draw) -> Parts {
        let schedule = UpdateSchedule::every(10).until(self.steps * 3 / 4);
        Parts {
            drop: Box::new(Saliency),
            grow: Box::new(GradientMagnitude),
            ..Parts::new("by-saliency", self.sparsity, schedule, draw)
        }
    }
}

fn main() -> Result<(), zosam::Error> {
    zosam::keep_freed_memory();
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fashion-mnist");
    let (train, test) = mnist(assets)?;
    let plain = LoaderConfig {
        batch_size: 50,
        normalization: Some(train.channel_statistics()),
        ..LoaderConfig::evaluation()
    };
    let test = Loader::new(test.take(500), plain.clone())?;
    let shuffled = LoaderConfig {
        shuffle: true,
        ..plain
    };
    let train = Loader::new(train.take(2000), shuffled)?;

    let (sparsity, steps) = (0.9, EPOCHS * train.len() as u64);
    let rigl = RigL::new(sparsity).over(steps).every(10);
    let methods: [Box<dyn SparsityMethod>; 3] = [
        Box::new(BySaliency { sparsity, steps }),
        Box::new(rigl),
        Box::new(RandomStatic::new(sparsity)),
    ];
    for method in methods {
        let name = method.plan().name;
        let (accuracy, explored) = trained(method, &train, &test)?;
        println!(
            "{name:12} {:5.1} % right, {:4.1} % of the weights were ever live",
            100.0 * accuracy,
            100.0 * explored
        );
    }
    Ok(())
}

/// Accuracy on the test images, and the share of weights that were ever live.
fn trained(
    method: Box<dyn SparsityMethod>,
    train: &Loader,
    test: &Loader,
) -> Result<(f64, f64), zosam::Error> {
    let device = Device::flex().autodiff();
    device.seed(0); // the same first weights for each method
    let config = ResNetConfig::resnet32(10).with_depth(8).with_channels(1);
    let mut sparsity = Sparsity::from_boxed(method);
    let mut optim = Plain::new(Identity, AdamWConfig::new().init())?;
    let mut net = sparsity.attach_on(config.with_width(8).init(&device)?, &())?;
    for epoch in 0..EPOCHS {
        for batch in train.epoch(epoch, 0) {
            let (images, labels) = batch?.to_tensors(&device);
            let loss = |net: &ResNet| net.loss(images.clone(), labels.clone());
            (net, _) = optim.step_with(5e-3, net, &mut sparsity, loss)?;
        }
    }
    let trained = net.valid();
    let logits = |images| sparsity.run(|| trained.forward(images));
    let evaluation = Evaluation::of(test, &Device::flex(), logits)?;
    Ok((evaluation.accuracy(), sparsity.report(&net).exploration()))
}
