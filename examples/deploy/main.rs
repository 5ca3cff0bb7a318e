//! From a network of one's own to a file that runs on a CPU, on a sample of Fashion-MNIST that is part of the repository:
//!
//! ```text
//! cargo run --release --example deploy                       # trains for a minute, compiles, saves, loads, runs, compares
//! cargo run --release --example deploy -- --epochs 1 --keep runs/deploy
//! ```
//!
//! The network (`network.rs`) says which of two things a picture shows: a picture and a question go in, ten scores come out.
//! Nothing of it is in this crate.

mod network;
#[path = "../common/onnx_case.rs"]
mod onnx_case;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::Device;
use clap::Parser;
use zosam::data::{Images, Loader, LoaderConfig, idx_images};
use zosam::inference::{Input, SparseNetwork};
use zosam::{RigL, Sparsity, ZoSamConfig};

use network::{Asked, Asker};

/// Trains a sparse network of its own, makes a file of it, and compares that with the network in burn.
#[derive(Parser)]
struct Arguments {
    /// Passes over the images.
    #[arg(long, default_value_t = 5)]
    epochs: u64,
    /// Share of the weights that are dead.
    #[arg(long, default_value_t = 0.9)]
    sparsity: f64,
    /// Keeps `network.safetensors` and `network.onnx` in a folder.
    #[arg(long)]
    keep: Option<PathBuf>,
}

macro_rules! asset {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/assets/fashion-mnist/",
            $name
        ))
    };
}

fn main() -> Result<()> {
    zosam::keep_freed_memory();
    let arguments = Arguments::parse();
    let temporary = tempfile::tempdir()?;
    let folder = arguments
        .keep
        .clone()
        .unwrap_or(temporary.path().to_path_buf());
    std::fs::create_dir_all(&folder)?;

    let model = train(&arguments)?.valid();
    let network = compile(&model)?;
    let (pixels, words) = Asked::blank_numbers(1);
    let inputs = [Input::Float(&pixels), Input::Int(&words)];
    println!("\n{}", network.profile(&inputs, 20)?);

    let file = folder.join("network.safetensors");
    network.save(&file)?;
    onnx_case::write(&network, &inputs, &folder, "network")?;
    // Whoever runs it needs the file alone.
    let network = SparseNetwork::load(&file)?;
    let size = std::fs::metadata(&file)?.len();
    table::print(&model, &network, size)
}

fn compile(model: &Asker) -> zosam::Result<SparseNetwork> {
    let forward = |model: &Asker, (images, texts)| model.forward(images, texts);
    SparseNetwork::compile(model, Asked::blank(1), forward)
}

fn train(arguments: &Arguments) -> Result<Asker> {
    let device = Device::flex().autodiff();
    device.seed(1);
    let train = images(
        "train",
        asset!("train-images-idx3-ubyte.gz"),
        asset!("train-labels-idx1-ubyte.gz"),
    )?;
    let test = images(
        "test",
        asset!("t10k-images-idx3-ubyte.gz"),
        asset!("t10k-labels-idx1-ubyte.gz"),
    )?;
    let loader = Loader::new(
        train,
        LoaderConfig {
            batch_size: 50,
            ..LoaderConfig::default()
        },
    )?;
    let test = Loader::new(
        test,
        LoaderConfig {
            batch_size: 100,
            ..LoaderConfig::evaluation()
        },
    )?;

    let steps = arguments.epochs * loader.len() as u64;
    let mut sparsity = Sparsity::new(RigL::new(arguments.sparsity).over(steps));
    let mut optim = ZoSamConfig::new().init(AdamWConfig::new().init())?;
    let first = Asked::new(&loader.epoch(0, 0).next().context("no batch")??, &device);
    let mut model = sparsity.attach(Asker::new(&device), |model: &Asker| model.loss(&first))?;
    for epoch in 0..arguments.epochs {
        let mut sum = 0.0;
        for batch in loader.epoch(epoch, 0) {
            let asked = Asked::new(&batch?, &device);
            let step = optim.step_with(2e-3, model, &mut sparsity, |m: &Asker| m.loss(&asked))?;
            sum += step.1.loss_value();
            model = step.0;
        }
        let right = right(&model.valid(), &test)?;
        println!(
            "epoch {epoch}: loss {:.3}, {:.1} % of the answers right",
            sum / loader.len() as f64,
            100.0 * right
        );
    }
    println!("{}", sparsity.report(&model));
    Ok(model)
}

/// Share of right answers; by the question alone it would be a half.
fn right(model: &Asker, test: &Loader) -> Result<f64> {
    let (mut right, mut all) = (0, 0);
    for batch in test.epoch(0, 0) {
        let asked = Asked::new(&batch?, &Device::flex());
        let found = model
            .forward(asked.images, asked.texts)
            .argmax(1)
            .into_data();
        let answers = asked.answers.into_data();
        let pairs = found.iter::<i64>().zip(answers.iter::<i64>());
        right += pairs.filter(|(found, answer)| found == answer).count();
        all += answers.num_elements();
    }
    Ok(right as f64 / all as f64)
}

fn images(name: &str, images: &[u8], labels: &[u8]) -> Result<Images> {
    Ok(idx_images(name, images, labels, 10)?)
}
