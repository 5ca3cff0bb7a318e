//! A model is pruned, saved, and fine-tuned for other classes; its zeros stay:
//!
//! ```text
//! cargo run --release --example fine_tune
//! ```

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::Device;
use zosam::analysis::Evaluation;
use zosam::data::{Images, Loader, LoaderConfig, mnist};
use zosam::model_file::{Card, SaveOptions, start_from};
use zosam::models::{ResNet, ResNetConfig};
use zosam::perturb::S2SamConfig;
use zosam::{MagnitudeStatic, Result, Sparsity};

/// The same images in two classes: is it a shoe?
fn shoes(images: &Images) -> Result<Images> {
    let pixels = (0..images.len()).flat_map(|image| images.pixels(image));
    let is_shoe = |image| matches!(images.label(image), 5 | 7 | 9); // sandal, sneaker, boot
    let labels = (0..images.len()).map(|image| u32::from(is_shoe(image)));
    let (pixels, labels) = (pixels.copied().collect(), labels.collect());
    Images::new("shoes", pixels, labels, images.shape(), 2)
}

/// An epoch or more under the masks of `sparsity`.
fn train(mut net: ResNet, sparsity: &mut Sparsity, images: &Images, epochs: u64) -> Result<ResNet> {
    let device = Device::flex().autodiff();
    let images = loader(images)?;
    let mut optim = S2SamConfig::new().init(AdamWConfig::new().init())?;
    for epoch in 0..epochs {
        for batch in images.epoch(epoch, 0) {
            let (images, labels) = batch?.to_tensors(&device);
            let loss = |net: &ResNet| net.loss(images.clone(), labels.clone());
            (net, _) = optim.step_with(1e-2, net, sparsity, loss)?;
        }
    }
    Ok(net)
}

fn accuracy(net: &ResNet, images: &Images) -> Result<f64> {
    let (images, net) = (loader(images)?, net.valid());
    let evaluation = Evaluation::of(&images, &Device::flex(), |images| net.forward(images))?;
    Ok(100.0 * evaluation.accuracy())
}

fn loader(images: &Images) -> Result<Loader> {
    let config = LoaderConfig {
        batch_size: 50,
        ..LoaderConfig::evaluation()
    };
    Loader::new(images.clone(), config)
}

fn main() -> Result<()> {
    zosam::keep_freed_memory();
    let device = Device::flex().autodiff();
    device.seed(0);
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fashion-mnist");
    let (images, test) = mnist(assets)?;
    let (images, test) = (images.take(1000), test.take(500));
    let small = |classes| {
        let config = ResNetConfig::resnet32(classes).with_depth(8);
        config.with_width(8).with_channels(1)
    };

    let net = train(small(10).init(&device)?, &mut Sparsity::dense(), &images, 3)?;
    println!("dense, ten classes: {:.1} % right", accuracy(&net, &test)?);
    let mut pruned = Sparsity::new(MagnitudeStatic::new(0.8));
    let net = pruned.attach_on(net, &())?;
    let net = train(net, &mut pruned, &images, 2)?;
    println!(
        "80 % pruned, trained on: {:.1} % right",
        accuracy(&net, &test)?
    );
    let folder = tempfile::tempdir().expect("a folder for the model");
    let file = folder.path().join("model.safetensors");
    let card = Card::new(&small(10))?;
    SaveOptions::new()
        .with_card(card)
        .save(&file, &net, pruned.masks())?;

    // Elsewhere: two classes, so the classifier is new and dense. Everything else is the file's.
    let start = start_from(&file, &small(2), &[], &device)?;
    assert_eq!(start.other_classes, Some(10));
    let live = start.masks.live_weights();
    let mut kept = Sparsity::from_masks(start.masks);
    let net = kept.attach_on(start.model, &())?;
    let net = train(net, &mut kept, &shoes(&images)?, 1)?;
    let right = accuracy(&net, &shoes(&test)?)?;
    assert_eq!(kept.masks().live_weights(), live);
    println!("a shoe or not: {right:.1} % right, with the {live} live weights of the file");
    Ok(())
}
