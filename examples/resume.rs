//! A run that is stopped and goes on as if it had not been:
//!
//! ```text
//! cargo run --release --example resume
//! ```

use std::path::Path;

use burn::optim::AdamWConfig;
use burn::tensor::Device;
use zosam::checkpoint::{Store, fingerprint};
use zosam::data::{Loader, LoaderConfig, mnist};
use zosam::models::{ResNet, ResNetConfig};
use zosam::{RigL, Sparsity, ZoSamConfig};

/// Trains up to a number of steps, from the newest checkpoint in a folder; every tenth step makes one.
fn train(folder: &Path, images: &Loader, until: u64) -> Result<String, zosam::Error> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let config = ResNetConfig::resnet32(10).with_depth(8).with_channels(1);
    let mut net = config.with_width(8).init(&device)?;
    let mut optim = ZoSamConfig::new().init(AdamWConfig::new().init())?;
    let mut sparsity = Sparsity::new(RigL::new(0.9).until(50).every(8));

    let store = Store::open(folder)?;
    let mut step: u64 = 0; // what of ours has to last
    match store.latest()? {
        Some(newest) => (net, optim, step) = store.load(&newest, net, optim, &mut sparsity)?,
        None => net = sparsity.attach_on(net, &())?,
    }
    println!("{}: from step {step} to {until}", folder.display());
    let batches = images.len() as u64;
    while step < until {
        // The epoch that the step is in, from the batch that the step has reached.
        for batch in images.epoch(step / batches, (step % batches) as usize) {
            let (images, labels) = batch?.to_tensors(&device);
            let loss = |net: &ResNet| net.loss(images.clone(), labels.clone());
            (net, _) = optim.step_with(2e-3, net, &mut sparsity, loss)?;
            step += 1;
            if step.is_multiple_of(10) {
                store.save(&net, &optim, &sparsity, &step)?;
            }
            if step == until {
                break;
            }
        }
    }
    Ok(fingerprint(&net))
}

fn main() -> Result<(), zosam::Error> {
    zosam::keep_freed_memory();
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fashion-mnist");
    let (images, _) = mnist(assets)?;
    let config = LoaderConfig {
        batch_size: 50,
        ..LoaderConfig::default() // shuffled, cropped and flipped
    };
    let images = Loader::new(images.take(1000), config)?;

    let folders = tempfile::tempdir().expect("a folder for the checkpoints");
    let (stopped, whole) = (folders.path().join("stopped"), folders.path().join("whole"));
    // Steps 30 to 34 are lost: the run goes on from the checkpoint of step 30.
    train(&stopped, &images, 34)?;
    let resumed = train(&stopped, &images, 60)?;
    let uninterrupted = train(&whole, &images, 60)?;
    assert_eq!(resumed, uninterrupted);
    println!("the same weights, to the bit: {resumed}");
    Ok(())
}
