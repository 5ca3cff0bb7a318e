//! One run.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use burn::optim::AdamWConfig;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use indicatif::{ProgressBar, ProgressStyle};
use rand::seq::SliceRandom;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use serde::Serialize;
use serde_json::json;
use zosam::checkpoint::fingerprint;
use zosam::data::{Sequence, mnist1d};
use zosam::masks::Masks;
use zosam::objective::Samples;
use zosam::sparse::{Classification, Method};

use crate::common::method::{Plan, method, run_steps};
use crate::common::names::{MethodName, ScheduleName};
use crate::common::rate::scheduled;
use crate::common::units::Units;
use crate::networks::Network;
use crate::options::{NetworkName, Options};

/// The sequences, the same for all runs.
pub struct Data {
    train: Vec<Sequence>,
    test: Vec<Sequence>,
}

/// What came out of a run.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub seed: u64,
    pub test_accuracy: f64,
    pub test_loss: f64,
    pub live_weights: usize,
    pub seconds: f64,
    /// SHA-256 over all weights and running statistics.
    pub weights_hash: String,
}

/// What a run does not change.
pub struct Run<'a> {
    options: &'a Options,
    data: &'a Data,
    device: &'a Device,
    seed: u64,
    method: Method,
    steps_per_epoch: u64,
}

type Batch = (Tensor<2>, Tensor<1, Int>);

impl Data {
    pub fn new(options: &Options) -> Result<Self> {
        let [train, test] = mnist1d(options.samples, options.data_seed).context("--samples")?;
        let batch = options.batch_size.get();
        ensure!(
            batch <= train.len(),
            "--batch-size is {batch}: there are {} training sequences",
            train.len()
        );
        Ok(Self { train, test })
    }
}

impl<'a> Run<'a> {
    pub fn new(
        options: &'a Options,
        data: &'a Data,
        device: &'a Device,
        seed: u64,
    ) -> Result<Self> {
        let (lr, warmup, decay) = (options.lr, options.warmup, options.weight_decay);
        ensure!(
            lr.is_finite() && lr > 0.0,
            "--lr is {lr}: it must be finite and greater than 0"
        );
        ensure!(
            (0.0..1.0).contains(&warmup),
            "--warmup is {warmup}: it must be at least 0 and less than 1"
        );
        ensure!(
            decay.is_finite() && decay >= 0.0,
            "--weight-decay is {decay}: it must be finite and at least 0"
        );
        let name = options.sparse.method.unwrap_or(MethodName::Rigl);
        ensure!(
            !(options.network == NetworkName::Lstm && name == MethodName::Grasp),
            "--method grasp measures in f64, in which burn's LSTM does not compute: choose another method, or --network conv"
        );
        // Batches of equal size: what is left over waits for another order.
        let steps_per_epoch = (data.train.len() / options.batch_size) as u64;
        let plan = Plan {
            method: name,
            sparsity: options.sparse.sparsity(0.9),
            epochs: options.epochs.get(),
            steps_per_epoch,
            weight_decay: decay,
        };
        Ok(Self {
            options,
            data,
            device,
            seed,
            method: method(&options.sparse, &plan),
            steps_per_epoch,
        })
    }

    /// Trains a network and tests it after every epoch.
    pub fn train<N: Network>(&self) -> Result<Outcome> {
        let options = self.options;
        let started = Instant::now();
        self.device.seed(self.seed);
        let mut model = N::new(options.width.get(), self.device);
        let units = Units {
            granularity: options.sparse.granularity,
            densities: &options.sparse.density,
            execution: options.sparse.execution,
            seed: self.seed,
        };
        let mut sparsity = units.sparsity(&self.method, &model, Masks::dense())?;
        let scored = self.batches(0).take(1);
        model = sparsity.attach_on(model, &Classification::new(scored, N::logits))?;
        if self.seed == options.seed {
            eprintln!("{}", sparsity.report(&model));
        }
        let level = options.epochs.get() * self.steps_per_epoch;
        let steps = run_steps(&self.method, level);
        let decay = match self.method {
            // It has its own.
            Method::TopKast(_) => 0.0,
            _ => options.weight_decay,
        };
        let base = AdamWConfig::new().with_weight_decay(decay as f32).build();
        let when = options.sharpness.sharpness_schedule;
        let mut optim = options.sharpness.config().init(base)?;
        optim = optim
            .with_seed(self.seed)
            .with_schedule(when.schedule(steps, &self.method));
        let bar = self.bar(steps);
        let mut tested = [f64::NAN; 2];
        for epoch in 0..steps / self.steps_per_epoch {
            let mut train_loss = 0.0;
            for batch in self.batches(epoch) {
                let step = sparsity.schedule_step(optim.steps());
                let lr = scheduled(
                    ScheduleName::Cosine,
                    options.warmup,
                    [step, level],
                    options.lr,
                );
                let loss = Samples::new(batch, losses::<N>);
                let report;
                (model, report) = optim.step_on(lr, model, &mut sparsity, loss)?;
                train_loss += report.loss_value() / self.steps_per_epoch as f64;
                bar.inc(1);
            }
            tested = self.test(&model);
            let [test_loss, test_accuracy] = tested;
            bar.set_message(format!("test accuracy {:.2}%", 100.0 * test_accuracy));
            options.event(json!({
                "event": "epoch", "seed": self.seed, "epoch": epoch, "train_loss": train_loss,
                "test_loss": test_loss, "test_accuracy": test_accuracy,
            }))?;
        }
        bar.finish_and_clear();
        let [test_loss, test_accuracy] = tested;
        Ok(Outcome {
            seed: self.seed,
            test_accuracy,
            test_loss,
            live_weights: sparsity.report(&model).live_weights,
            seconds: started.elapsed().as_secs_f64(),
            weights_hash: fingerprint(&model),
        })
    }

    /// The shuffled batches of an epoch.
    fn batches(&self, epoch: u64) -> impl Iterator<Item = Batch> {
        let train = &self.data.train;
        let mut order: Vec<usize> = (0..train.len()).collect();
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&epoch.to_le_bytes());
        order.shuffle(&mut ChaCha8Rng::from_seed(key));
        let size = self.options.batch_size.get();
        (0..train.len() / size).map(move |number| {
            let chosen = &order[number * size..(number + 1) * size];
            tensors(chosen.iter().map(|index| &train[*index]), self.device)
        })
    }

    /// Loss and accuracy on the test sequences.
    fn test<N: Network>(&self, model: &N) -> [f64; 2] {
        let (model, device) = (model.valid(), self.device.clone().without_autodiff());
        let (sequences, labels) = tensors(self.data.test.iter(), &device);
        let (losses, logits) = losses(&model, &(sequences, labels.clone()));
        let hits = logits.argmax(1).flatten::<1>(0, 1).equal(labels);
        let hits = hits.int().sum().into_scalar::<i64>() as f64;
        let loss = f64::from(losses.mean().into_scalar::<f32>());
        [loss, hits / self.data.test.len() as f64]
    }

    fn bar(&self, steps: u64) -> ProgressBar {
        let style = "{prefix} [{bar:30}] {pos}/{len} steps, {eta} left, {msg}";
        let style = ProgressStyle::with_template(style).expect("the template is valid");
        let bar = ProgressBar::new(steps).with_prefix(format!("seed {}", self.seed));
        bar.with_style(style.progress_chars("=> "))
    }
}

/// The loss of each sequence, and the logits.
fn losses<N: Network>(model: &N, (sequences, labels): &Batch) -> (Tensor<1>, Tensor<2>) {
    let logits = model.logits(sequences.clone());
    let picked = log_softmax(logits.clone(), 1).gather(1, labels.clone().unsqueeze_dim(1));
    (picked.neg().flatten(0, 1), logits)
}

fn tensors<'s>(sequences: impl Iterator<Item = &'s Sequence>, device: &Device) -> Batch {
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for sequence in sequences {
        values.extend_from_slice(&sequence.values);
        labels.push(sequence.label as i64);
    }
    let shape = [labels.len(), values.len() / labels.len()];
    let values = Tensor::from_data(TensorData::new(values, shape), device);
    (values, Tensor::from_ints(labels.as_slice(), device))
}
