//! Compares GraSP's Hessian-gradient products by tangents and by differences of gradients, on CIFAR-10 in a folder:
//! `cargo run --release --example hessian_products -- DIR`.

use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::Device;
use zosam::data::{Loader, LoaderConfig, balanced, cifar10};
use zosam::models::{ResNet, ResNetConfig};
use zosam::sparse::{Classification, Evidence};
use zosam::tree::{self, ParamVector};
use zosam::{Grasp, Sparsity};

const TEMPERATURE: f64 = 200.0;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1);
    let folder = folder.context("name the folder that holds cifar-10-batches-bin")?;
    let (train, _) = cifar10(folder)?;
    let config = LoaderConfig {
        normalization: Some(train.channel_statistics()),
        ..LoaderConfig::evaluation()
    };
    let batches = balanced(&Loader::new(train, config)?, 10, 2, 0)?;
    let device = Device::flex().autodiff();
    for depth in [8, 32] {
        device.seed(1);
        let model = ResNetConfig::resnet32(10).with_depth(depth).init(&device)?;
        let tensors = || batches.iter().map(|batch| batch.to_tensors(&device));
        let differences = Classification::new(tensors(), ResNet::forward);
        let tangents =
            Classification::new(tensors(), ResNet::forward).with_tangent(ResNet::forward_tangent);
        let (a, seconds) = product(&model, &tangents)?;
        println!("ResNet-{depth}: tangents {seconds:.1} s");
        let (b, seconds) = product(&model, &differences)?;
        let cosine = a.dot(&b) / (a.norm() * b.norm());
        println!("ResNet-{depth}: differences {seconds:.1} s, cosine {cosine:.9}");
        let (a, b) = (kept(&model, &tangents)?, kept(&model, &differences)?);
        let shared = a.iter().zip(&b).filter(|(a, b)| **a && **b).count() as f64;
        let live = a.iter().filter(|live| **live).count() as f64;
        println!("ResNet-{depth}: shared mask {:.2} %", 100.0 * shared / live);
    }
    Ok(())
}

type Data<'a> = Classification<'a, ResNet, 4>;

/// `H g` over the sparse weights, and the seconds that the product took.
fn product(model: &ResNet, data: &Data) -> Result<(ParamVector, f64)> {
    let leaves = tree::leaves(model);
    let sparse = |id| {
        leaves
            .iter()
            .any(|leaf| leaf.id == id && leaf.shape.len() > 1)
    };
    let gradient = data.gradient(model, TEMPERATURE, 0)?.filter(sparse);
    let started = Instant::now();
    let product = data.hessian_product(model, &gradient, TEMPERATURE, 0)?;
    Ok((product, started.elapsed().as_secs_f64()))
}

/// GraSP's mask at 90 %.
fn kept(model: &ResNet, data: &Data) -> Result<Vec<bool>> {
    let mut sparsity = Sparsity::new(Grasp::new(0.9).with_temperature(TEMPERATURE));
    sparsity.attach_on(model.clone(), data)?;
    let masks = sparsity.masks();
    let sets = masks.leaves().filter_map(|leaf| masks.live_set(leaf.id));
    Ok(sets.flatten().collect())
}
