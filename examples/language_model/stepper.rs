//! A step with a backward pass, or one without.

use std::path::Path;

use anyhow::{Result, bail};
use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamW, AdamWConfig, Sgd, SgdConfig};
use burn::tensor::{Int, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zosam::checkpoint::Store;
use zosam::objective::{Passes, Samples};
use zosam::optim::{ForwardOnly, ForwardRule};
use zosam::perturb::SharpnessConfig;
use zosam::{SharpOptimizer, Sparsity, tree};

use crate::config::Config;
use crate::model::Gpt;

/// AdamW at a perturbed point, or SGD on an estimate by forward passes.
pub enum Stepper {
    Backward(Box<SharpOptimizer<SharpnessConfig, AdamW>>),
    Forward(Box<ForwardOnly<Sgd>>),
}

/// What a step tells.
pub struct Told {
    pub loss: f64,
    pub passes: Passes,
}

impl Stepper {
    /// The optimizer of a run, for its model: biases, norms and embeddings do not decay.
    pub fn new(config: &Config, model: &Gpt) -> Result<Self> {
        let undecayed = undecayed(model);
        if config.forward_only {
            let SharpnessConfig::ZoSam(estimator) = &config.sharpness else {
                bail!("forward-only steps have the estimator of ZO-SAM");
            };
            let rule = ForwardRule::Estimate;
            let optim = ForwardOnly::new(estimator.clone(), rule, sgd(config.weight_decay))?;
            let mut clipped = Ok(());
            let optim = optim.with(|optim| {
                let optim = optim
                    .with_seed(config.seed)
                    .with_group(undecayed, sgd(0.0), None);
                let Some(largest) = config.clip_norm else {
                    return optim;
                };
                let plain = optim.clone();
                optim
                    .with_global_norm_clipping(largest)
                    .unwrap_or_else(|error| {
                        clipped = Err(error);
                        plain
                    })
            });
            clipped?;
            return Ok(Self::Forward(Box::new(optim)));
        }
        let optim = config.sharpness.init(adamw(config.weight_decay))?;
        let mut optim = optim
            .with_seed(config.seed)
            .with_schedule(config.sharpness_schedule)
            .with_group(undecayed, adamw(0.0), None);
        if let Some(largest) = config.clip_norm {
            optim = optim.with_global_norm_clipping(largest)?;
        }
        Ok(Self::Backward(Box::new(optim)))
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        match self {
            Self::Backward(optim) => optim.steps(),
            Self::Forward(optim) => optim.optimizer().steps(),
        }
    }

    /// One step on a batch of windows.
    pub fn step(
        &mut self,
        lr: f64,
        model: Gpt,
        sparsity: &mut Sparsity,
        windows: Tensor<2, Int>,
    ) -> Result<(Gpt, Told)> {
        let losses = |model: &Gpt, windows: &Tensor<2, Int>| model.losses(windows.clone());
        let loss = Samples::new(windows, losses);
        let (model, report) = match self {
            Self::Backward(optim) => optim.step_on(lr, model, sparsity, loss)?,
            Self::Forward(optim) => optim.step_on(lr, model, sparsity, loss)?,
        };
        let told = Told {
            loss: report.loss_value(),
            passes: report.passes,
        };
        Ok((model, told))
    }

    /// Saves all that the run needs to go on.
    pub fn save<T: Serialize>(
        &self,
        store: &Store,
        model: &Gpt,
        sparsity: &Sparsity,
        progress: &T,
    ) -> Result<()> {
        match self {
            Self::Backward(optim) => store.save(model, optim, sparsity, progress)?,
            Self::Forward(optim) => store.save(model, optim.optimizer(), sparsity, progress)?,
        };
        Ok(())
    }

    /// Goes on from a checkpoint.
    pub fn load<T: DeserializeOwned>(
        self,
        (store, folder): (&Store, &Path),
        model: Gpt,
        sparsity: &mut Sparsity,
    ) -> Result<(Gpt, Self, T)> {
        match self {
            Self::Backward(optim) => {
                let (model, optim, progress) = store.load(folder, model, *optim, sparsity)?;
                Ok((model, Self::Backward(Box::new(optim)), progress))
            }
            Self::Forward(optim) => {
                let own = optim.optimizer().clone();
                let (model, loaded, progress) = store.load(folder, model, own, sparsity)?;
                let optim = optim.with(|_| loaded);
                Ok((model, Self::Forward(Box::new(optim)), progress))
            }
        }
    }
}

fn undecayed(model: &Gpt) -> ParamGroup {
    let leaves = tree::leaves(model).into_iter();
    let vectors = leaves.filter(|leaf| leaf.shape.len() == 1 || leaf.layer == "Embedding");
    ParamGroup::from_paths(vectors.map(|leaf| leaf.path).collect::<Vec<_>>())
}

/// AdamW with the betas that language models are trained with.
fn adamw(weight_decay: f64) -> AdamW {
    AdamWConfig::new()
        .with_beta_2(0.95)
        .with_epsilon(1e-8)
        .with_weight_decay(weight_decay as f32)
        .build()
}

fn sgd(weight_decay: f64) -> Sgd {
    let decay = WeightDecayConfig::new(weight_decay as f32);
    SgdConfig::new().with_weight_decay(Some(decay)).build()
}
