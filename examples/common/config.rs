//! What defines a run: everything that its result depends on.

use std::path::PathBuf;

use anyhow::{Result, bail};
use burn::module::{Module, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamW, AdamWConfig, Sgd, SgdConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zosam::masks::{Execution, Masks};
use zosam::model_file::Input;
use zosam::perturb::{Perturbation, Schedule, SharpnessConfig};
use zosam::sparse::{Granularity, Method, Sparsity};
use zosam::tree;

use super::Network;
use super::args::{Args, DatasetName, DeviceName, MethodName, OptimizerName, ScheduleName};
use super::augment::Augmented;
use super::dataset::Data;
pub use super::device::device;
use super::method::{Plan, method, run_steps};
use super::rate::scheduled;
use super::units::Units;

/// A run's settings, as config.json holds them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config<C> {
    pub dataset: DatasetName,
    pub limit: Option<usize>,
    pub model: C,
    pub input: Input,
    pub augmented: Augmented,
    pub finetune: Option<PathBuf>,
    pub method: Method,
    pub granularity: Granularity,
    pub densities: Vec<(String, f64)>,
    pub execution: Execution,
    pub optimizer: OptimizerName,
    pub lr: f64,
    pub schedule: ScheduleName,
    pub weight_decay: f64,
    pub warmup: f64,
    pub decays_vectors: bool,
    pub sharpness: SharpnessConfig,
    pub sharpness_schedule: Schedule,
    pub epochs: usize,
    /// What `--extend` added when the epochs before were done.
    pub extended: Vec<Extension>,
    pub batch_size: usize,
    pub accumulate: usize,
    pub clip_norm: Option<f64>,
    pub average: Option<f64>,
    pub seed: u64,
    pub device: DeviceName,
}

/// Epochs with a schedule of the learning rate of their own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Extension {
    pub epochs: usize,
    pub lr: f64,
}

impl<C: Network> Config<C> {
    /// Fills in what depends on the data: the number of steps, of so many batches an epoch.
    pub fn new(args: &Args, model: C, data: &Data, batches: usize) -> Result<Self> {
        let (epochs, batch_size) = (args.epochs(), args.batch_size());
        let accumulate = args.fit.accumulate;
        let lr = args.lr();
        let weight_decay = args.weight_decay();
        let warmup = args.fit.warmup.unwrap_or(args.defaults.warmup);
        if !(0.0..1.0).contains(&warmup) {
            bail!("--warmup is {warmup}: it must be at least 0 and less than 1");
        }
        if !(lr.is_finite() && lr > 0.0) {
            bail!("--lr is {lr}: it must be finite and greater than 0");
        }
        if !(weight_decay.is_finite() && weight_decay >= 0.0) {
            bail!("--weight-decay is {weight_decay}: it must be finite and at least 0");
        }
        let steps_per_epoch = batches.div_ceil(accumulate) as u64;
        let [_, height, width] = data.shape;
        let plan = Plan {
            method: args.method(),
            sparsity: args.sparsity(),
            epochs: epochs as u64,
            steps_per_epoch,
            weight_decay,
        };
        let method = method(&args.sparse, &plan);
        let mut config = Self {
            dataset: args.data.dataset(),
            limit: args.data.limit(),
            model,
            input: Input::new(&data.framing, &data.normalization)?,
            augmented: Augmented::new(&args.augment, args.data.dataset(), [height, width]),
            finetune: args.run.finetune.clone(),
            method,
            granularity: args.sparse.granularity,
            densities: args.sparse.density.clone(),
            execution: args.sparse.execution,
            optimizer: args.optimizer(),
            lr,
            schedule: args.fit.schedule,
            // Top-KAST has its own.
            weight_decay: match args.method() {
                MethodName::Topkast => 0.0,
                _ => weight_decay,
            },
            warmup,
            decays_vectors: args.decays_vectors(),
            sharpness: args.sharpness.config(),
            sharpness_schedule: Schedule::default(),
            epochs,
            extended: Vec::new(),
            batch_size,
            accumulate,
            clip_norm: args.fit.clip_norm,
            average: args.fit.average,
            seed: args.run.seed,
            device: args.machine.device,
        };
        let total = (config.run_epochs(steps_per_epoch as usize) as u64) * steps_per_epoch;
        let when = args.sharpness.sharpness_schedule;
        config.sharpness_schedule = when.schedule(total, &config.method);
        config.sharpness.validate()?;
        config.method.clone().boxed().validate()?;
        Ok(config)
    }

    /// The method with its units and densities by layer, for a model with a file's masks.
    pub fn sparsity<M: Module>(&self, model: &M, masks: Masks) -> Result<Sparsity> {
        let units = Units {
            granularity: self.granularity,
            densities: &self.densities,
            execution: self.execution,
            seed: self.seed,
        };
        units.sparsity(&self.method, model, masks)
    }

    /// Epochs of the whole run: a lottery ticket trains its net again and again, and a run may be extended.
    pub fn run_epochs(&self, steps_per_epoch: usize) -> usize {
        let steps = (self.epochs * steps_per_epoch) as u64;
        let first = run_steps(&self.method, steps) as usize / steps_per_epoch;
        first + self.extended.iter().map(|of| of.epochs).sum::<usize>()
    }

    /// Takes over what a saved run has by itself: its extensions and, if it is to be extended again, its own learning rate.
    pub fn take_over(&mut self, saved: &Value, extends: bool) {
        if let Ok(extended) = Vec::deserialize(&saved["extended"]) {
            self.extended = extended;
        }
        if let Some(lr) = saved["lr"].as_f64().filter(|_| extends) {
            self.lr = lr;
        }
    }

    /// SGD with momentum 0.9 and no dampening, as PyTorch's; burn's default has some.
    pub fn sgd(&self, weight_decay: f64) -> Sgd {
        let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
        SgdConfig::new()
            .with_momentum(Some(momentum))
            .with_weight_decay(Some(WeightDecayConfig::new(weight_decay as f32)))
            .build()
    }

    /// AdamW with PyTorch's epsilon.
    pub fn adamw(&self, weight_decay: f64) -> AdamW {
        AdamWConfig::new()
            .with_epsilon(1e-8)
            .with_weight_decay(weight_decay as f32)
            .build()
    }

    /// The biases, norms, tokens and position embeddings of a model, unless they decay like everything else.
    pub fn undecayed<M: Module>(&self, model: &M) -> Option<ParamGroup> {
        let leaves = tree::leaves(model).into_iter();
        let vectors = leaves.filter(|leaf| {
            let of_deit = leaf.path.ends_with("_token") || leaf.path == "pos_embed";
            leaf.shape.len() == 1 || of_deit
        });
        let paths: Vec<String> = vectors.map(|leaf| leaf.path).collect();
        let any = !self.decays_vectors && !paths.is_empty();
        any.then(|| ParamGroup::from_paths(paths))
    }

    /// The learning rate of a step, of so many an epoch: a rise from 0, then the schedule's fall. It begins again with each extension.
    pub fn lr_at(&self, step: u64, steps_per_epoch: u64) -> f64 {
        let own = Extension {
            epochs: self.epochs,
            lr: self.lr,
        };
        let (mut within, mut part) = (step, own);
        for next in &self.extended {
            let steps = part.epochs as u64 * steps_per_epoch;
            if within < steps {
                break;
            }
            (within, part) = (within - steps, *next);
        }
        let total = part.epochs as u64 * steps_per_epoch;
        scheduled(self.schedule, self.warmup, [within, total], part.lr)
    }
}
