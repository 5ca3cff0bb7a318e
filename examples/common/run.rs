//! A run: its beginning, its epochs, its checkpoints.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail};
use burn::optim::Optimizer;
use burn::tensor::Device;
use zosam::checkpoint::Store;
use zosam::compile::Uses;
use zosam::data::Loader;
use zosam::masks::Masks;
use zosam::optim::WeightAverage;
use zosam::perturb::SharpnessConfig;
use zosam::sparse::{Classification, Method};
use zosam::{SharpOptimizer, Sparsity};

use super::args::Args;
use super::config::{Config, Extension};
use super::folder::{self, Folder};
use super::output::{Event, Output};
use super::progress::{Diverged, Progress};
use super::start::Start;
use super::{Classifier, Network};

/// A run, as far as it does not change.
pub struct Run<C: Network> {
    pub args: Args,
    pub config: Config<C>,
    pub train: Loader,
    pub test: Loader,
    /// How often a forward pass uses each weight.
    pub uses: Uses,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// What `--finetune` starts from.
    pub start: Option<Start<C::Model>>,
    pub folder: Option<Folder>,
    pub stop: Arc<AtomicBool>,
    pub output: Output,
    pub device: Device,
}

pub type Optim<O> = SharpOptimizer<SharpnessConfig, O>;

/// What changes from step to step.
pub struct State<M, O> {
    pub model: M,
    pub optim: Optim<O>,
    pub sparsity: Sparsity,
    pub average: Option<WeightAverage<M>>,
    pub progress: Progress,
}

impl<C: Network> Run<C> {
    /// Begins, or goes on from the newest checkpoint, with a base optimizer of a weight decay.
    pub fn with_optimizer<O: Optimizer>(mut self, base: impl Fn(f64) -> O) -> Result<()> {
        let config = &self.config;
        let newest = self.newest_checkpoint()?;
        self.device.seed(config.seed);
        let Start { model, masks } = match self.start.take() {
            Some(start) => start,
            None => Start {
                model: config.model.init(&self.device)?,
                masks: Masks::dense(),
            },
        };
        let mut optim = config.sharpness.init(base(config.weight_decay))?;
        optim = optim
            .with_seed(config.seed)
            .with_schedule(config.sharpness_schedule);
        if let Some(largest) = config.clip_norm {
            optim = optim.with_global_norm_clipping(largest)?;
        }
        if let Some(group) = config.undecayed(&model) {
            optim = optim.with_group(group, base(0.0), None);
        }
        let mut sparsity = config.sparsity(&model, masks)?;
        let average = |model: &C::Model| {
            let decay = config.average;
            decay
                .map(|decay| WeightAverage::new(decay, model))
                .transpose()
        };
        let Some((store, checkpoint)) = newest else {
            if self.args.run.extend.is_some() {
                bail!("there is no checkpoint to extend: start the run with --resume");
            }
            self.output.keep(&[])?;
            let batches = self.scoring_batches()?.into_iter();
            let batches = batches.map(|batch| batch.to_tensors(&self.device));
            let data = Classification::new(batches, C::Model::logits)
                .with_tangent(C::Model::logits_tangent);
            let model = sparsity.attach_on(model, &data)?;
            return self.train(State {
                average: average(&model)?,
                model,
                optim,
                sparsity,
                progress: Progress::default(),
            });
        };
        let average = average(&model)?;
        let (model, optim, progress, average) =
            store.load_averaged(&checkpoint, model, optim, &mut sparsity, average)?;
        let progress: Progress = progress;
        self.output.keep(&progress.history)?;
        let (steps, from) = (optim.steps(), checkpoint.display());
        eprintln!("resuming after {steps} steps, from {from}");
        if let Some(Diverged { first, steps }) = progress.diverged {
            eprintln!("the loss was not a finite number at {steps} steps, first at step {first}");
        }
        self.extend(&progress)?;
        self.train(State {
            model,
            optim,
            sparsity,
            average,
            progress,
        })
    }

    /// Adds the epochs that are asked for to a finished run, and says so.
    fn extend(&mut self, progress: &Progress) -> Result<()> {
        let epochs = self.config.run_epochs(self.steps_per_epoch());
        let (Some(more), Some(out)) = (self.args.run.extend, &self.args.run.out) else {
            if progress.epoch >= epochs {
                eprintln!("the run is finished: --extend N trains it for N more epochs");
            }
            return Ok(());
        };
        if let Method::Lth(_) = self.config.method {
            bail!(
                "a lottery ticket ends with its last level: fine-tune its model with --finetune instead"
            );
        }
        if progress.epoch < epochs {
            let done = progress.epoch;
            bail!("the run has done {done} of {epochs} epochs: finish it with --resume first");
        }
        let extension = Extension {
            epochs: more.get(),
            lr: self.args.fit.lr.unwrap_or(self.config.lr),
        };
        folder::extend(out, &mut self.config, extension)?;
        eprintln!(
            "{more} more epochs, with a new schedule: the learning rate begins again at {}; the optimizer keeps its state, and masks go on as the method has them after its {} epochs",
            extension.lr, self.config.epochs
        );
        Ok(())
    }

    fn newest_checkpoint(&self) -> Result<Option<(Store, PathBuf)>> {
        match &self.folder {
            Some(Folder { store, .. }) => Ok(store.latest()?.map(|newest| (store.clone(), newest))),
            None => Ok(None),
        }
    }

    fn train<O: Optimizer>(&self, mut state: State<C::Model, O>) -> Result<()> {
        let report = self.report(&state);
        eprintln!("{report}");
        self.output.event(&Event::Sparsity {
            when: "start",
            report: &report,
        })?;
        self.output.table_head();
        for metrics in &state.progress.history {
            self.output.table_row(metrics);
        }
        let epochs = self.config.run_epochs(self.steps_per_epoch());
        while state.progress.epoch < epochs {
            state = self.epoch(state)?;
            if self.stop.load(Ordering::Relaxed) && state.progress.batch < self.train.len() {
                return self.interrupted(&state);
            }
            let epoch = state.progress.epoch + 1;
            let tested =
                epoch.is_multiple_of(self.args.watch.evaluate_every.get()) || epoch == epochs;
            let masks = state.sparsity.masks();
            let test = tested.then(|| self.evaluate(&state.model, masks));
            let test = test.transpose()?;
            let over_prunable = self.report(&state).sparsity_over_prunable();
            let mut metrics = state.progress.finish_epoch(test, over_prunable);
            if let Some(average) = state.average.as_ref().filter(|_| tested) {
                let masks = state.sparsity.masks();
                let test = self.evaluate(&average.sparse(masks), masks)?;
                metrics.average_accuracy = Some(test.test_accuracy);
            }
            let progress = &mut state.progress;
            progress.history.push(metrics.clone());
            self.save(&state)?;
            self.output.keep(&state.progress.history)?;
            self.output.table_row(&metrics);
            self.output.event(&Event::Epoch(&metrics))?;
            if self.stop.load(Ordering::Relaxed) && state.progress.epoch < epochs {
                return self.interrupted(&state);
            }
        }
        self.done(&state)
    }

    /// Steps of an epoch; its last one may be on fewer batches.
    pub fn steps_per_epoch(&self) -> usize {
        self.train.len().div_ceil(self.config.accumulate)
    }

    fn save<O: Optimizer>(&self, state: &State<C::Model, O>) -> Result<Option<PathBuf>> {
        let Some(Folder { store, .. }) = &self.folder else {
            return Ok(None);
        };
        Ok(Some(store.save_averaged(
            &state.model,
            &state.optim,
            &state.sparsity,
            &state.progress,
            state.average.as_ref(),
        )?))
    }

    fn interrupted<O: Optimizer>(&self, state: &State<C::Model, O>) -> Result<()> {
        match self.save(state)? {
            Some(folder) => eprintln!(
                "interrupted; saved {}: go on with --resume",
                folder.display()
            ),
            None => eprintln!("interrupted; nothing is saved without --out"),
        }
        self.output.event(&Event::Interrupted {
            epoch: state.progress.epoch,
            batch: state.progress.batch,
        })
    }
}
