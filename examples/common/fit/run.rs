//! One run.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::{Device, Tensor};
use indicatif::{ProgressBar, ProgressStyle};
use rand::seq::SliceRandom;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use serde::Serialize;
use serde_json::{Value, json};
use zosam::Sparsity;
use zosam::checkpoint::fingerprint;
use zosam::masks::Masks;
use zosam::objective::{Batched, Samples};
use zosam::sparse::Method;

use super::FitArgs;
use crate::common::method::{Plan, method, run_steps};
use crate::common::names::{MethodName, ScheduleName};
use crate::common::rate::scheduled;
use crate::common::units::Units;

/// What a test measured, by name.
pub type Scores = BTreeMap<&'static str, f64>;

/// What is learnt, and by what.
pub trait Task {
    type Model: Module + 'static;
    type Batch: Batched;

    /// Number of samples to train on.
    fn samples(&self) -> usize;

    fn model(&self, device: &Device) -> Self::Model;

    /// Some of the samples.
    fn batch(&self, chosen: &[usize], device: &Device) -> Self::Batch;

    /// The loss of each sample, `[batch]`.
    fn losses(model: &Self::Model, batch: &Self::Batch) -> Tensor<1>;

    /// Chooses masks, by a batch where a method scores weights on one.
    fn attach(
        sparsity: &mut Sparsity,
        model: Self::Model,
        batch: Self::Batch,
    ) -> Result<Self::Model>;

    /// Scores on what was not trained on, by a model and a device without autodiff.
    fn test(&self, model: &Self::Model, sparsity: &Sparsity, device: &Device) -> Scores;

    /// What is kept of a run.
    fn finished(&self, _run: &Finished<Self::Model>) -> Result<()> {
        Ok(())
    }
}

/// A run that is over.
#[allow(dead_code, reason = "not every program keeps its runs")]
pub struct Finished<'a, M> {
    pub seed: u64,
    pub model: &'a M,
    pub sparsity: &'a Sparsity,
    pub device: &'a Device,
    /// The event of each epoch.
    pub epochs: &'a [Value],
}

/// What came out of a run.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub seed: u64,
    #[serde(flatten)]
    pub scores: Scores,
    pub live_weights: usize,
    pub seconds: f64,
    /// SHA-256 over all weights and running statistics.
    pub weights_hash: String,
}

/// What a run does not change.
pub struct Run<'a, T> {
    task: &'a T,
    args: &'a FitArgs,
    device: &'a Device,
    seed: u64,
    method: Method,
    steps_per_epoch: u64,
}

impl<'a, T: Task> Run<'a, T> {
    pub fn new(task: &'a T, args: &'a FitArgs, device: &'a Device, seed: u64) -> Result<Self> {
        args.check(task.samples())?;
        // Batches of equal size: what is left over waits for another order.
        let steps_per_epoch = (task.samples() / args.batch_size) as u64;
        let plan = Plan {
            method: args.sparse.method.unwrap_or(MethodName::Rigl),
            sparsity: args.sparse.sparsity(0.9),
            epochs: args.epochs.get(),
            steps_per_epoch,
            weight_decay: args.weight_decay,
        };
        Ok(Self {
            task,
            args,
            device,
            seed,
            method: method(&args.sparse, &plan),
            steps_per_epoch,
        })
    }

    /// Trains a network and tests it after every epoch.
    pub fn train(&self) -> Result<Outcome> {
        let args = self.args;
        let started = Instant::now();
        self.device.seed(self.seed);
        let (mut model, mut sparsity) = self.begun()?;
        let level = args.epochs.get() * self.steps_per_epoch;
        let steps = run_steps(&self.method, level);
        let decay = match self.method {
            // It has its own.
            Method::TopKast(_) => 0.0,
            _ => args.weight_decay,
        };
        let base = AdamWConfig::new().with_weight_decay(decay as f32).build();
        let when = args.sharpness.sharpness_schedule;
        let mut optim = args.sharpness.config().init(base)?;
        optim = optim
            .with_seed(self.seed)
            .with_schedule(when.schedule(steps, &self.method));
        let bar = self.bar(steps);
        let (mut scores, mut epochs) = (Scores::new(), Vec::new());
        for epoch in 0..steps / self.steps_per_epoch {
            let mut train_loss = 0.0;
            for batch in self.batches(epoch) {
                let step = [sparsity.schedule_step(optim.steps()), level];
                let lr = scheduled(ScheduleName::Cosine, args.warmup, step, args.lr);
                let loss = Samples::new(batch, T::losses);
                let report;
                (model, report) = optim.step_on(lr, model, &mut sparsity, loss)?;
                train_loss += report.loss_value() / self.steps_per_epoch as f64;
                bar.inc(1);
            }
            let device = self.device.clone().without_autodiff();
            scores = self.task.test(&model.valid(), &sparsity, &device);
            bar.set_message(said(&scores));
            let mut event = json!({
                "event": "epoch", "seed": self.seed, "epoch": epoch, "train_loss": train_loss,
            });
            for (name, score) in &scores {
                event[*name] = json!(score);
            }
            args.event(&event)?;
            epochs.push(event);
        }
        bar.finish_and_clear();
        self.task.finished(&Finished {
            seed: self.seed,
            model: &model,
            sparsity: &sparsity,
            device: self.device,
            epochs: &epochs,
        })?;
        Ok(Outcome {
            seed: self.seed,
            scores,
            live_weights: sparsity.report(&model).live_weights,
            seconds: started.elapsed().as_secs_f64(),
            weights_hash: fingerprint(&model),
        })
    }

    /// The network with its first masks.
    fn begun(&self) -> Result<(T::Model, Sparsity)> {
        let model = self.task.model(self.device);
        let units = Units {
            granularity: self.args.sparse.granularity,
            densities: &self.args.sparse.density,
            execution: self.args.sparse.execution,
            seed: self.seed,
        };
        let mut sparsity = units.sparsity(&self.method, &model, Masks::dense())?;
        let first = self.batches(0).next();
        let first = first.expect("a batch is not larger than the set");
        let model = T::attach(&mut sparsity, model, first)?;
        if self.seed == self.args.seed {
            eprintln!("{}", sparsity.report(&model));
        }
        Ok((model, sparsity))
    }

    /// The shuffled batches of an epoch.
    fn batches(&self, epoch: u64) -> impl Iterator<Item = T::Batch> {
        let samples = self.task.samples();
        let mut order: Vec<usize> = (0..samples).collect();
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&epoch.to_le_bytes());
        order.shuffle(&mut ChaCha8Rng::from_seed(key));
        let size = self.args.batch_size.get();
        (0..samples / size).map(move |number| {
            let chosen = &order[number * size..(number + 1) * size];
            self.task.batch(chosen, self.device)
        })
    }

    fn bar(&self, steps: u64) -> ProgressBar {
        let style = "{prefix} [{bar:30}] {pos}/{len} steps, {eta} left, {msg}";
        let style = ProgressStyle::with_template(style).expect("the template is valid");
        let bar = ProgressBar::new(steps).with_prefix(format!("seed {}", self.seed));
        bar.with_style(style.progress_chars("=> "))
    }
}

/// Scores in words.
pub fn said(scores: &Scores) -> String {
    let scores = scores.iter();
    let words: Vec<String> = scores
        .map(|(name, value)| format!("{} {value:.4}", name.replace('_', " ")))
        .collect();
    words.join(", ")
}
