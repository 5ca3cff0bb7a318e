//! How long a trained network takes, sparse and dense, and how large it is, also where sparse loses:
//!
//! ```text
//! cargo run --release --example sparse_inference                               # every family, random masks, several densities
//! cargo run --release --example sparse_inference -- --network vgg19 --density 0.1 --batch 8
//! cargo run --release --example sparse_inference -- --network deit-small --density 0.1 --file model.safetensors
//! ```
//!
//! Weights are random: neither time nor size depends on their values. `benches/inference_peer.py` runs the same networks in
//! ONNX Runtime and OpenVINO, taking turns with this program (`serve`, which also tells the time of
//! each operation if the variable `PROFILE` is set).

mod mobilenet;
#[path = "../common/onnx_case.rs"]
mod onnx_case;

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use clap::{Parser, Subcommand, ValueEnum};
use mobilenet::MobileNet;
use zosam::compile::CompileConfig;
use zosam::inference::{Input, SparseNetwork};
use zosam::model_file::{load_model, save_model};
use zosam::models::{
    Deit, DeitConfig, ImageNetResNet, ImageNetResNetConfig, ResNet, ResNetConfig, ResNetVariant,
    Vgg, VggConfig, WideResNet, WideResNetConfig,
};
use zosam::sparse::{Distribution, RandomStatic, Sparsity};

/// Times trained networks, sparse and dense, and prints their sizes in memory and on disk.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Networks to time; all if left out.
    #[arg(long)]
    network: Vec<Choice>,
    /// Shares of the weights that live, ERK between the layers.
    #[arg(long, num_args = 1.., default_values_t = [1.0, 0.5, 0.2, 0.1, 0.05, 0.02])]
    density: Vec<f64>,
    /// Images at once.
    #[arg(long, num_args = 1.., default_values_t = [1, 8])]
    batch: Vec<usize>,
    /// Passes of each, taking turns, of which the fastest is printed: what else runs on a machine only ever adds.
    #[arg(long, default_value_t = 9)]
    runs: usize,
    /// Keeps the last network's model in a file.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Writes each network into a folder as ONNX files, one for each batch, with images and their logits, for `tests/golden/check_onnx.py`.
    #[arg(long)]
    onnx: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Answers lines `NETWORK DENSITY DISTRIBUTION BATCH` with the seconds of one pass, for a peer that takes turns.
    Serve,
}

#[derive(Clone, Copy, ValueEnum)]
enum Choice {
    /// The sparse-training literature's, width 16, 32² pixels.
    Resnet32,
    /// The same, width 32.
    Resnet32Wide,
    /// 32² pixels.
    Vgg19,
    /// Four times as wide, 32² pixels.
    Wrn22_4,
    /// 224² pixels.
    Resnet18,
    /// 224² pixels.
    Resnet50,
    /// 224² pixels in patches of 16².
    DeitTiny,
    /// 224² pixels in patches of 16².
    DeitSmall,
    /// MobileNetV2's blocks, 224² pixels.
    Mobilenet,
}

/// What this program asks of a family of networks.
trait Family: Module {
    fn dense(&self, images: Tensor<4>) -> Tensor<2>;
    /// For so many images as one.
    fn sparse(&self, shape: [usize; 4]) -> zosam::Result<SparseNetwork>;
}

macro_rules! family {
    ($($network:ty)*) => {
        $(impl Family for $network {
            fn dense(&self, images: Tensor<4>) -> Tensor<2> {
                self.forward(images)
            }

            fn sparse(&self, shape: [usize; 4]) -> zosam::Result<SparseNetwork> {
                let sample = Tensor::from_data(TensorData::new(images(shape[0], shape[2]), shape), &Device::flex());
                let config = match shape[0] {
                    1 => CompileConfig::new(),
                    _ => CompileConfig::new().with_whole_batch(),
                };
                config.compile(self, sample, |model, images| model.forward(images))
            }
        })*
    };
}
family!(ResNet Vgg WideResNet ImageNetResNet Deit MobileNet);

/// Calls a function with a network's name, the side of its images, what makes one, and more arguments.
macro_rules! on {
    ($choice:expr, $call:ident($($more:expr),*)) => {
        match $choice {
            Choice::Resnet32 => $call("resnet32", 32, |on| literature(16).init(on), $($more),*),
            Choice::Resnet32Wide => $call("resnet32-wide", 32, |on| literature(32).init(on), $($more),*),
            Choice::Vgg19 => $call("vgg19", 32, |on| VggConfig::vgg19(10).init(on), $($more),*),
            Choice::Wrn22_4 => $call("wrn22-4", 32, |on| WideResNetConfig::new(22, 4, 10).init(on), $($more),*),
            Choice::Resnet18 => $call("resnet18", 224, |on| ImageNetResNetConfig::resnet18(1000).init(on), $($more),*),
            Choice::Resnet50 => $call("resnet50", 224, |on| ImageNetResNetConfig::resnet50(1000).init(on), $($more),*),
            Choice::DeitTiny => $call("deit-tiny", 224, |on| DeitConfig::tiny(1000).init(on), $($more),*),
            Choice::DeitSmall => $call("deit-small", 224, |on| DeitConfig::small(1000).init(on), $($more),*),
            Choice::Mobilenet => $call("mobilenet", 224, |on| Ok(MobileNet::new(1000, on)), $($more),*),
        }
    };
}

/// ResNet-32 as the sparse-training literature has it.
fn literature(width: usize) -> ResNetConfig {
    let config = ResNetConfig::resnet32(10).with_width(width);
    config.with_variant(ResNetVariant::Grasp)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Command::Serve) = arguments.command {
        return serve();
    }
    let threads = rayon::current_num_threads();
    println!(
        "{threads} threads; the fastest of {} passes, taking turns",
        arguments.runs
    );
    println!(
        "network         density  batch  burn, dense      sparse   times  in memory    on disk"
    );
    let chosen = match arguments.network.is_empty() {
        true => Choice::value_variants(),
        false => &arguments.network,
    };
    for choice in chosen {
        on!(*choice, compare(&arguments))?;
    }
    Ok(())
}

/// Prints a line per density and batch.
fn compare<M: Family>(
    name: &str,
    side: usize,
    init: impl Fn(&Device) -> zosam::Result<M>,
    arguments: &Arguments,
) -> Result<()> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let folder = tempfile::tempdir()?;
    for &density in &arguments.density {
        let (model, sparsity) = masked(init(&device)?, side, density, Distribution::default())?;
        // The way a program would get it: from the file.
        let path = arguments.file.clone();
        let path = path.unwrap_or(folder.path().join("model.safetensors"));
        save_model(&path, &model, sparsity.masks())?;
        let sparse = from_file(&path, model.clone(), side)?;
        let (memory, disk) = (sparse.bytes(), std::fs::metadata(&path)?.len());
        for &batch in &arguments.batch {
            let images = images(batch, side);
            if let Some(folder) = &arguments.onnx {
                // Shapes in ONNX files are fixed.
                let whole = model.sparse([batch, 3, side, side])?;
                onnx_case::write(
                    &whole,
                    &[Input::Float(&images)],
                    folder,
                    &format!("{name}-{batch}"),
                )?;
            }
            let mut times = [Vec::new(), Vec::new()];
            for _ in 0..arguments.runs {
                times[0].push(dense_seconds(&model, &images, side));
                times[1].push(seconds(&sparse, &images)?);
            }
            let [dense, seconds] = times.map(fastest);
            println!(
                "{name:14} {density:8}  {batch:5}  {:8.2} ms {:8.2} ms  {:6.2}  {:6.2} MB  {:6.2} MB",
                1e3 * dense,
                1e3 * seconds,
                dense / seconds,
                memory as f64 / 1e6,
                disk as f64 / 1e6,
            );
        }
    }
    Ok(())
}

fn from_file<M: Family>(path: &Path, model: M, side: usize) -> Result<SparseNetwork> {
    let (model, _masks) = load_model(path, model)?;
    Ok(model.sparse([1, 3, side, side])?)
}

/// A network with random masks in evaluation, its statistics set by a batch.
fn masked<M: Family>(
    model: M,
    side: usize,
    density: f64,
    distribution: Distribution,
) -> Result<(M, Sparsity)> {
    let device = Device::flex().autodiff();
    let mut sparsity = match density {
        1.0 => Sparsity::dense(),
        _ => Sparsity::new(RandomStatic::new(1.0 - density).with_distribution(distribution)),
    };
    let model = sparsity.attach(model, |_: &M| Tensor::<1>::zeros([1], &device));
    let model = model.map_err(zosam::Error::from)?;
    let normal = burn::tensor::Distribution::Normal(0.0, 1.0);
    let count = if side > 64 { 2 } else { 16 };
    model.dense(Tensor::random([count, 3, side, side], normal, &device));
    Ok((model.valid(), sparsity))
}

fn serve() -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [network, density, distribution, batch] = words[..] else {
            anyhow::bail!("expected NETWORK DENSITY DISTRIBUTION BATCH, found `{line}`");
        };
        let choice = Choice::from_str(network, true).map_err(anyhow::Error::msg)?;
        let distribution = match distribution {
            "uniform" => Distribution::Uniform,
            _ => Distribution::default(),
        };
        on!(
            choice,
            answer(density.parse()?, distribution, batch.parse()?)
        )?;
    }
    Ok(())
}

/// How long passes of a turn take, at least: single images take less than a millisecond, and a virtual machine's neighbours
/// are busy for longer than that.
const TURN: Duration = Duration::from_millis(200);

/// Prints the seconds of the fastest pass of a turn, of seven passes at least.
fn answer<M: Family>(
    _name: &str,
    side: usize,
    init: impl Fn(&Device) -> zosam::Result<M>,
    density: f64,
    distribution: Distribution,
    batch: usize,
) -> Result<()> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let (model, _) = masked(init(&device)?, side, density, distribution)?;
    let sparse = model.sparse([1, 3, side, side])?;
    let images = images(batch, side);
    seconds(&sparse, &images)?;
    let started = Instant::now();
    let mut runs = Vec::new();
    while runs.len() < 7 || started.elapsed() < TURN {
        runs.push(seconds(&sparse, &images)?);
    }
    // Each operation, for whoever asks where the time goes; standard output is the peer's.
    if std::env::var_os("PROFILE").is_some() {
        eprintln!("{}", sparse.profile(&[Input::Float(&images)], 50)?);
    }
    println!("{}", fastest(runs));
    Ok(())
}

fn images(count: usize, side: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 7919) % 100_003) as f32 / 50_000.0 - 1.0;
    (0..count * 3 * side * side).map(number).collect()
}

fn dense_seconds<M: Family>(model: &M, images: &[f32], side: usize) -> f64 {
    let batch = images.len() / (3 * side * side);
    let data = TensorData::new(images.to_vec(), [batch, 3, side, side]);
    let images = Tensor::from_data(data, &Device::flex());
    let start = Instant::now();
    model.dense(images).into_data();
    start.elapsed().as_secs_f64()
}

fn seconds(network: &SparseNetwork, images: &[f32]) -> Result<f64> {
    let start = Instant::now();
    network.logits(images)?;
    Ok(start.elapsed().as_secs_f64())
}

fn fastest(seconds: Vec<f64>) -> f64 {
    seconds.into_iter().fold(f64::INFINITY, f64::min)
}
