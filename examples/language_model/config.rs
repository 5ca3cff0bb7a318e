//! What defines a run: everything that its result depends on.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use serde::Serialize;
use zosam::masks::Execution;
use zosam::model_file::Card;
use zosam::perturb::{Delta, Perturbation, Schedule, SharpnessConfig};
use zosam::sparse::{GradientUse, Granularity, Method};

use crate::common::method::{Plan, method, run_steps};
use crate::common::names::{DeviceName, MethodName, ScheduleName};
use crate::common::rate::scheduled;
use crate::model::GptConfig;
use crate::options::{NetworkOptions, TrainOptions};
use crate::text::{Text, TextName};

/// A run's settings, as config.json holds them.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    pub model: GptConfig,
    pub text: TextName,
    /// SHA-256 of the text.
    pub text_hash: String,
    pub finetune: Option<PathBuf>,
    pub method: Method,
    pub granularity: Granularity,
    pub densities: Vec<(String, f64)>,
    pub execution: Execution,
    pub forward_only: bool,
    /// Of forward-only steps, the estimator.
    pub sharpness: SharpnessConfig,
    pub sharpness_schedule: Schedule,
    pub steps: u64,
    pub batch_size: usize,
    pub lr: f64,
    pub warmup: f64,
    pub weight_decay: f64,
    pub clip_norm: Option<f64>,
    pub evaluate_every: u64,
    pub windows: usize,
    pub seed: u64,
    pub device: DeviceName,
}

impl Config {
    /// Fills in what the options leave open; `card` is that of the file that training starts from.
    pub fn new(options: &TrainOptions, text: &Text, card: Option<&Card>) -> Result<Self> {
        let fit = &options.fit;
        let forward_only = fit.forward_only;
        let by_kind = |forward: f64, backward: f64| match forward_only {
            true => forward,
            false => backward,
        };
        let lr = fit.lr.unwrap_or(by_kind(3e-3, 1e-2));
        let weight_decay = fit.weight_decay.unwrap_or(by_kind(0.0, 0.1));
        check("--lr", lr, lr > 0.0, "finite and greater than 0")?;
        let warmup = fit.warmup;
        let in_range = (0.0..1.0).contains(&warmup);
        check("--warmup", warmup, in_range, "at least 0 and less than 1")?;
        let in_range = weight_decay >= 0.0;
        check(
            "--weight-decay",
            weight_decay,
            in_range,
            "finite and at least 0",
        )?;
        let live = card.and_then(|card| card.saved()?.live);
        let name = options.sparse.method.unwrap_or(match (card, live) {
            (None, _) => MethodName::Rigl,
            (Some(_), None) => MethodName::Dense,
            (Some(_), Some(_)) => MethodName::Keep,
        });
        let of_file = live.map(|[live, of]| 1.0 - live as f64 / of as f64);
        let plan = Plan {
            method: name,
            sparsity: options.sparse.sparsity(of_file.unwrap_or(0.8)),
            epochs: 1,
            steps_per_epoch: fit.steps.get(),
            weight_decay,
        };
        let method = method(&options.sparse, &plan);
        let boxed = method.clone().boxed();
        boxed.validate()?;
        ensure!(
            !(forward_only && boxed.plan().gradients == GradientUse::All),
            "--method {} grows weights by the gradient of dead weights, which --forward-only has not: choose another, such as set or keep",
            boxed.plan().name
        );
        let steps = fit.steps.get();
        let when = options.sharpness.sharpness_schedule;
        Ok(Self {
            model: network(&options.network, card)?,
            text: options.text.text,
            text_hash: text.fingerprint.clone(),
            finetune: options.run.finetune.clone(),
            granularity: options.sparse.granularity,
            densities: options.sparse.density.clone(),
            execution: options.sparse.execution,
            forward_only,
            sharpness: sharpness(options)?,
            sharpness_schedule: when.schedule(run_steps(&method, steps), &method),
            steps,
            batch_size: fit.batch_size.get(),
            lr,
            warmup,
            // Top-KAST has its own.
            weight_decay: match name {
                MethodName::Topkast => 0.0,
                _ => weight_decay,
            },
            clip_norm: fit.clip_norm.or((!forward_only).then_some(1.0)),
            evaluate_every: fit.evaluate_every.get(),
            windows: fit.windows.get(),
            seed: options.run.seed,
            device: options.machine.device,
            method,
        })
    }

    /// Steps of the whole run: a lottery ticket trains its net again and again.
    pub fn run_steps(&self) -> u64 {
        run_steps(&self.method, self.steps)
    }

    /// The learning rate of a step of the schedule.
    pub fn lr_at(&self, step: u64) -> f64 {
        let steps = [step, self.steps];
        scheduled(ScheduleName::Cosine, self.warmup, steps, self.lr)
    }
}

/// The perturbation, or the estimator of forward-only steps, which is ZO-SAM's.
fn sharpness(options: &TrainOptions) -> Result<SharpnessConfig> {
    let config = options.sharpness.config();
    config.validate()?;
    if !options.fit.forward_only {
        return Ok(config);
    }
    let SharpnessConfig::ZoSam(estimator) = config else {
        bail!(
            "--forward-only estimates gradients as --sharpness zo-sam does: leave --sharpness out"
        );
    };
    let delta = options.sharpness.delta.unwrap_or(1e-3);
    Ok(SharpnessConfig::ZoSam(
        estimator.with_delta(Delta::Absolute(delta)),
    ))
}

/// The network of the options, or a file's, which they must not contradict.
fn network(options: &NetworkOptions, card: Option<&Card>) -> Result<GptConfig> {
    let default = GptConfig {
        layers: 4,
        width: 64,
        heads: 4,
        context: 64,
        tied: true,
        dropout: 0.0,
    };
    let file = card.map(Card::config::<GptConfig>).transpose()?;
    let base = file.as_ref().unwrap_or(&default);
    let config = GptConfig {
        layers: options.layers.unwrap_or(base.layers),
        width: options.width.unwrap_or(base.width),
        heads: options.heads.unwrap_or(base.heads),
        context: options.context.unwrap_or(base.context),
        tied: base.tied && !options.untied,
        // Training's, and not the file's.
        dropout: options.dropout.unwrap_or(base.dropout),
    };
    if let Some(file) = &file {
        let of_file = GptConfig {
            dropout: config.dropout,
            ..file.clone()
        };
        ensure!(
            config == of_file,
            "the options make {config:?}, but the file says {of_file:?}: leave them out"
        );
    }
    Ok(config)
}

fn check(option: &str, value: f64, is_valid: bool, valid: &str) -> Result<()> {
    ensure!(
        is_valid && value.is_finite(),
        "{option} is {value}: it must be {valid}"
    );
    Ok(())
}

/// The folder of the text, if no other is named.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
