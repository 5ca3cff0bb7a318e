//! How long a trained network takes, sparse and dense, and how large it is:
//!
//! ```text
//! cargo run --release --example sparse_inference                         # random masks, several densities
//! cargo run --release --example sparse_inference -- 32 DENSITY FILE      # width, density; keeps the model in FILE
//! ```
//!
//! `benches/inference_peer.py` runs the same network in PyTorch, taking turns with this program (`serve`).

use std::io::BufRead;
use std::time::Instant;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use zosam::inference::SparseNetwork;
use zosam::model_file::save_model;
use zosam::models::{ResNet, ResNetConfig, ResNetVariant};
use zosam::{RandomStatic, Sparsity};

const RUNS: usize = 7;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let width = arguments.first().filter(|word| *word != "serve");
    let width: usize = width.map_or(Ok(32), |width| width.parse())?;
    if arguments.iter().any(|word| word == "serve") {
        return serve();
    }
    if let [_, density, file] = &arguments[..] {
        let (model, sparsity) = network(width, density.parse()?)?;
        save_model(file, &model, sparsity.masks())?;
    }
    let densities = match arguments.get(1) {
        Some(density) => vec![density.parse()?],
        None => vec![1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02],
    };
    let threads = rayon::current_num_threads();
    println!(
        "ResNet-32, width {width}, images of 3 × 32 × 32, {threads} threads; medians of {RUNS}"
    );
    println!("density  batch  burn, dense  sparse      times   in memory");
    for density in densities {
        let (model, _) = network(width, density)?;
        let sparse = model.to_sparse_network([32, 32])?;
        for batch in [1, 64] {
            let images = images(batch);
            let mut dense_seconds = Vec::new();
            let mut sparse_seconds = Vec::new();
            for _ in 0..RUNS {
                dense_seconds.push(dense(&model, &images, batch));
                sparse_seconds.push(seconds(&sparse, &images)?);
            }
            let (dense, sparse_time) = (median(dense_seconds), median(sparse_seconds));
            println!(
                "{density:7}  {batch:5}  {:8.2} ms  {:7.2} ms  {:6.2}  {:6.0} kB",
                1e3 * dense,
                1e3 * sparse_time,
                dense / sparse_time,
                sparse.bytes() as f64 / 1e3,
            );
        }
    }
    Ok(())
}

/// Answers lines `WIDTH DENSITY BATCH` with the seconds of one pass, for a peer that takes turns.
fn serve() -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [width, density, batch] = words[..] else {
            anyhow::bail!("expected WIDTH DENSITY BATCH, found `{line}`");
        };
        let (model, _) = network(width.parse()?, density.parse()?)?;
        let sparse = model.to_sparse_network([32, 32])?;
        let images = images(batch.parse()?);
        seconds(&sparse, &images)?;
        let runs: Result<Vec<f64>> = (0..RUNS).map(|_| seconds(&sparse, &images)).collect();
        println!("{}", median(runs?));
    }
    Ok(())
}

/// The network of the sparse-training literature with ERK masks, its statistics set by a batch.
fn network(width: usize, density: f64) -> Result<(ResNet, Sparsity)> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let config = ResNetConfig::resnet32(10).with_width(width);
    let model = config.with_variant(ResNetVariant::Grasp).init(&device)?;
    let mut sparsity = Sparsity::new(RandomStatic::new(1.0 - density));
    let model = sparsity.attach(model, |_| Tensor::<1>::zeros([1], &device))?;
    let normal = Distribution::Normal(0.0, 1.0);
    model.forward(Tensor::random([16, 3, 32, 32], normal, &device));
    Ok((model.valid(), sparsity))
}

fn images(count: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 7919) % 100_003) as f32 / 50_000.0 - 1.0;
    (0..count * 3 * 32 * 32).map(number).collect()
}

fn dense(model: &ResNet, images: &[f32], batch: usize) -> f64 {
    let data = TensorData::new(images.to_vec(), [batch, 3, 32, 32]);
    let images = Tensor::from_data(data, &Device::flex());
    let start = Instant::now();
    model.forward(images).into_data();
    start.elapsed().as_secs_f64()
}

fn seconds(network: &SparseNetwork, images: &[f32]) -> Result<f64> {
    let start = Instant::now();
    network.logits(images)?;
    Ok(start.elapsed().as_secs_f64())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
