//! What defines a run: everything that its result depends on.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use burn::module::{Module, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamW, AdamWConfig, Sgd, SgdConfig};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zosam::masks::{Execution, Masks};
use zosam::model_file::Input;
use zosam::perturb::{Schedule, SharpnessConfig};
use zosam::sparse::{Granularity, Method, Sparsity};
use zosam::tree;

use super::Network;
use super::args::{Args, DatasetName, DeviceName, MethodName, OptimizerName, ScheduleName};
use super::augment::Augmented;
use super::dataset::Data;
use super::method::method;

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
        let method = method(args, steps_per_epoch);
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
        config.sharpness.build()?;
        config.method.clone().boxed().validate()?;
        Ok(config)
    }

    /// The method with its units and densities by layer, for a model with a file's masks.
    pub fn sparsity<M: Module>(&self, model: &M, masks: Masks) -> Result<Sparsity> {
        let mut sparsity = Sparsity::from_boxed(self.method.clone().boxed())
            .with_seed(self.seed)
            .with_execution(self.execution);
        if !masks.is_dense() {
            sparsity = sparsity.starting_from(masks);
        }
        let leaves = tree::leaves(model).into_iter();
        let whole = leaves.filter(|leaf| self.granularity.validate(leaf).is_ok());
        let whole: Vec<String> = whole.map(|leaf| leaf.path).collect();
        if whole.is_empty() {
            bail!(
                "--granularity {}: no layer consists of such units",
                self.granularity
            );
        }
        sparsity = sparsity.with_granularity(ParamGroup::from_paths(whole), self.granularity);
        for (pattern, density) in &self.densities {
            let group = ParamGroup::from_regex(pattern)
                .map_err(|error| anyhow!("--density {pattern}: {error:?}"))?;
            sparsity = sparsity.with_density(group, *density);
        }
        Ok(sparsity)
    }

    /// Epochs of the whole run: a lottery ticket trains its net again and again, and a run may be extended.
    pub fn run_epochs(&self, steps_per_epoch: usize) -> usize {
        let first = match &self.method {
            Method::Lth(tickets) => tickets.total_steps() as usize / steps_per_epoch,
            _ => self.epochs,
        };
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
        self.scheduled(within, part.epochs as u64 * steps_per_epoch, part.lr)
    }

    fn scheduled(&self, step: u64, total: u64, lr: f64) -> f64 {
        let rise = (self.warmup * total as f64).round();
        if (step as f64) < rise {
            return lr * (step + 1) as f64 / rise;
        }
        let progress = (step as f64 - rise) / (total as f64 - rise).max(1.0);
        match self.schedule {
            ScheduleName::Cosine => 0.5 * lr * (1.0 + (std::f64::consts::PI * progress).cos()),
            ScheduleName::Step if progress < 0.5 => lr,
            ScheduleName::Step if progress < 0.75 => 0.1 * lr,
            ScheduleName::Step => 0.01 * lr,
        }
    }
}

/// The device, without autodiff.
#[allow(
    deprecated,
    reason = "burn-ndarray is deprecated but still a backend of burn"
)]
pub fn device(name: DeviceName) -> Result<Device> {
    match name {
        #[cfg(feature = "flex")]
        DeviceName::Flex => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        DeviceName::Ndarray => Ok(Device::ndarray()),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "vulkan")]
        DeviceName::Vulkan => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => Ok(Device::cuda(0)),
        #[allow(unreachable_patterns, reason = "depends on the features")]
        other => {
            let name = format!("{other:?}").to_lowercase();
            bail!("this build has no {name}: run it with `cargo run --features {name} …`")
        }
    }
}
