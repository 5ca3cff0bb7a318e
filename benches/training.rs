//! Seconds of a training step, sparse and dense, on request: `benches/training_peer.py` asks, in turns with PyTorch.
//!
//! ```text
//! cargo bench --bench training --no-run
//! RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1 python benches/training_peer.py target/release/deps/training-HASH
//! ```
//!
//! A request is a line `width batch layers density distribution sharpness`: layers are `ours` or `burn`, a distribution is `uniform` or
//! `erk`, sharpness `none` or `zo-sam`. With `--device vulkan` (and that feature) it runs there. The answer is the median of a few steps, in seconds.

mod device;
mod plain_resnet;

use std::collections::HashMap;
use std::io::BufRead;
use std::time::Instant;

use burn::module::Module;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{Sgd, SgdConfig};
use burn::tensor::{Distribution as Random, Int, Tensor};
use plain_resnet::PlainResNet;
use zosam::models::{ResNet, ResNetConfig};
use zosam::perturb::SharpnessConfig;
use zosam::sparse::{Distribution, RandomStatic, Sparsity};
use zosam::{SharpOptimizer, ZoSamConfig};

/// Steps of a turn.
const STEPS: usize = 3;

fn main() {
    zosam::keep_freed_memory();
    let device = device::chosen();
    let mut runs: HashMap<String, Box<dyn FnMut()>> = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line");
        let step = runs.entry(line.clone()).or_insert_with(|| {
            let mut step = run(&line);
            step();
            step
        });
        let mut times: Vec<f64> = (0..STEPS)
            .map(|_| {
                let start = Instant::now();
                step();
                device.sync().expect("the device works");
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{}", times[STEPS / 2]);
    }
}

fn run(line: &str) -> Box<dyn FnMut()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [width, batch, layers, density, distribution, sharpness] = words[..] else {
        panic!("width batch layers density distribution sharpness, not `{line}`");
    };
    let (width, batch) = (number(width) as usize, number(batch) as usize);
    let distribution = match distribution {
        "uniform" => Distribution::Uniform,
        _ => Distribution::Erk,
    };
    let sharpness = match sharpness {
        "zo-sam" => SharpnessConfig::ZoSam(ZoSamConfig::new()),
        _ => SharpnessConfig::None,
    };
    let device = device::chosen().autodiff();
    let density = number(density);
    let sparsity = match density < 1.0 {
        true => Sparsity::new(RandomStatic::new(1.0 - density).with_distribution(distribution)),
        false => Sparsity::dense(),
    };
    match layers {
        "burn" => {
            let model = PlainResNet::new(width, &device);
            let loss = |model: &PlainResNet, (images, labels): &Batch| {
                model.loss(images.clone(), labels.clone())
            };
            steps(model, batch, sparsity, sharpness, loss)
        }
        _ => {
            let config = ResNetConfig::resnet32_wide(10).with_width(width);
            let loss = |model: &ResNet, (images, labels): &Batch| {
                model.loss(images.clone(), labels.clone()).0
            };
            let model = config.init(&device).expect("a valid network");
            steps(model, batch, sparsity, sharpness, loss)
        }
    }
}

fn number(word: &str) -> f64 {
    word.parse().expect("a number")
}

type Batch = (Tensor<4>, Tensor<1, Int>);

fn steps<M: Module + 'static>(
    model: M,
    batch: usize,
    mut sparsity: Sparsity,
    sharpness: SharpnessConfig,
    loss: fn(&M, &Batch) -> Tensor<1>,
) -> Box<dyn FnMut()> {
    let device = device::chosen().autodiff();
    let images = Tensor::random([batch, 3, 32, 32], Random::Normal(0.0, 1.0), &device);
    let labels: Vec<i64> = (0..batch as i64).map(|i| i % 10).collect();
    let batch = (images, Tensor::from_ints(labels.as_slice(), &device));
    let momentum = MomentumConfig::new().with_dampening(0.0);
    let sgd = SgdConfig::new().with_momentum(Some(momentum)).build();
    let mut optim: SharpOptimizer<SharpnessConfig, Sgd> = sharpness.init(sgd).expect("valid");
    let model = sparsity.attach(model.train(), |model: &M| loss(model, &batch));
    let mut model = Some(model.expect("a sparsity that the layers can realise"));
    Box::new(move || {
        let current = model.take().expect("put back below");
        let (next, report) = optim
            .step_with(1e-3, current, &mut sparsity, |model: &M| {
                loss(model, &batch)
            })
            .expect("a step");
        // The loss is read, as training loops do.
        assert!(report.loss.into_scalar::<f32>().is_finite());
        model = Some(next);
    })
}
