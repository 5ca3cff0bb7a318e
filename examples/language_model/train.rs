//! A run: its beginning, its steps, its checkpoints.

use std::f64::consts::LN_2;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use zosam::Sparsity;
use zosam::checkpoint::{Store, claim, fingerprint};
use zosam::masks::Masks;
use zosam::model_file::{Card, Configuration, SaveOptions, load, read_card};
use zosam::sparse::Classification;

use crate::MEMORY;
use crate::common::device::device;
use crate::common::units::Units;
use crate::config::{Config, repository};
use crate::generate::Writer;
use crate::interrupt;
use crate::lock;
use crate::model::{Gpt, GptConfig};
use crate::options::TrainOptions;
use crate::output::{Metrics, Output, Progress};
use crate::stepper::Stepper;
use crate::stored;
use crate::text::{Text, tensor};

/// A run, as far as it does not change.
struct Run<'a> {
    options: &'a TrainOptions,
    config: Config,
    text: Text,
    device: Device,
    output: Output,
    store: Option<Store>,
}

/// What changes from step to step.
struct State {
    model: Gpt,
    stepper: Stepper,
    sparsity: Sparsity,
    progress: Progress,
}

/// Trains as the options say.
pub fn run(options: &TrainOptions) -> Result<()> {
    let folder = options.text.folder.as_deref().unwrap_or(repository());
    let text = Text::read(folder, options.text.text)?;
    let card = match &options.run.finetune {
        Some(path) => Some(
            read_card(path)?
                .with_context(|| format!("{} does not say what it is of", path.display()))?,
        ),
        None => None,
    };
    let config = Config::new(options, &text, card.as_ref())?;
    text.check(config.model.context)?;
    let store = match &options.run.out {
        Some(out) => Some(opened(out, options, &config)?),
        None => None,
    };
    let (store, _lock) = store.unzip();
    interrupt::flag()?;
    let run = Run {
        device: device(config.device)?.autodiff(),
        output: Output::new(options.machine.json, options.run.out.clone()),
        options,
        config,
        text,
        store,
    };
    run.train()
}

/// The checkpoints of a folder: a new run needs an empty one, a run that goes on its own.
fn opened(out: &Path, options: &TrainOptions, config: &Config) -> Result<(Store, Option<File>)> {
    let path = out.join("config.json");
    if path.exists() && !options.run.resume {
        bail!(
            "{} holds a run already: add --resume to go on with it, or choose another --out",
            out.display()
        );
    }
    let store = Store::open(out.join("checkpoints"))?;
    let lock = lock::locked(out)?;
    claim(&path, config)?;
    stored::store(out, &options.given)?;
    Ok((store, lock))
}

impl Run<'_> {
    fn train(&self) -> Result<()> {
        let mut state = self.begun()?;
        let ([train, validation], [files, others]) = (self.text.bytes(), self.text.files);
        eprintln!(
            "{train} bytes of {files} files for training, {validation} of {others} for validation"
        );
        let report = state.sparsity.report(&state.model);
        eprintln!("{report}");
        self.output.event(&json!({
            "event": "start", "parameters": state.model.num_params(), "live_weights": report.live_weights,
            "prunable_weights": report.prunable_weights, "text_hash": self.text.fingerprint,
        }))?;
        self.output.table_head();
        let history = &state.progress.history;
        history
            .iter()
            .for_each(|metrics| self.output.table_row(metrics));
        let steps = self.config.run_steps();
        let bar = self.bar(steps);
        while state.stepper.steps() < steps {
            state = self.step(state)?;
            let taken = state.stepper.steps();
            bar.set_position(taken);
            let stopped = interrupt::asked() && taken < steps;
            if taken.is_multiple_of(self.config.evaluate_every) || taken == steps {
                let metrics = self.validated(&mut state);
                bar.suspend(|| self.output.table_row(&metrics));
                self.save(&state)?;
                self.output.keep(&state.progress.history)?;
                let mut event = serde_json::to_value(&metrics)?;
                event["event"] = json!("validation");
                self.output.event(&event)?;
            } else if stopped {
                self.save(&state)?;
            }
            if stopped {
                bar.finish_and_clear();
                eprintln!("interrupted after {taken} steps: with --out, go on with --resume");
                let event = json!({"event": "interrupted", "step": taken});
                return self.output.event(&event);
            }
        }
        bar.finish_and_clear();
        self.done(&state)
    }

    /// Begins, or goes on from the newest checkpoint.
    fn begun(&self) -> Result<State> {
        let config = &self.config;
        self.device.seed(config.seed);
        let (model, masks) = match &config.finetune {
            Some(path) => {
                let loaded = load::<GptConfig>(path, &self.device)?;
                (loaded.model, loaded.masks)
            }
            None => (config.model.init(&self.device)?, Masks::dense()),
        };
        let units = Units {
            granularity: config.granularity,
            densities: &config.densities,
            execution: config.execution,
            seed: config.seed,
        };
        let mut sparsity = units.sparsity(&config.method, &model, masks)?;
        let stepper = Stepper::new(config, &model)?;
        let store = self.store.as_ref();
        let newest = store.map(Store::latest).transpose()?.flatten();
        let (Some(store), Some(folder)) = (store, newest) else {
            self.output.keep(&[])?;
            let scored = [self.scored()];
            let logits = |model: &Gpt, bytes: Tensor<2>| model.logits(bytes.int()).flatten(0, 1);
            let model = sparsity.attach_on(model, &Classification::new(scored, logits))?;
            return Ok(State {
                model,
                stepper,
                sparsity,
                progress: Progress::default(),
            });
        };
        let (model, stepper, progress) = stepper.load((store, &folder), model, &mut sparsity)?;
        let progress: Progress = progress;
        self.output.keep(&progress.history)?;
        eprintln!(
            "resuming after {} steps, from {}",
            stepper.steps(),
            folder.display()
        );
        Ok(State {
            model,
            stepper,
            sparsity,
            progress,
        })
    }

    /// What methods that score weights before training do so on: the first batch, as bytes and their next ones.
    fn scored(&self) -> (Tensor<2>, Tensor<1, Int>) {
        let windows = self.windows(0);
        let [_, length] = windows.dims();
        let bytes = windows.clone().narrow(1, 0, length - 1).float();
        (bytes, windows.narrow(1, 1, length - 1).flatten(0, 1))
    }

    /// The windows of a step.
    fn windows(&self, step: u64) -> Tensor<2, Int> {
        let (count, length) = (self.config.batch_size, self.config.model.context + 1);
        let windows = self.text.batch([self.config.seed, step], count, length);
        tensor(&windows, &self.device)
    }

    fn step(&self, state: State) -> Result<State> {
        let State {
            model,
            mut stepper,
            mut sparsity,
            mut progress,
        } = state;
        let started = Instant::now();
        MEMORY.reset_peak_usage();
        let step = stepper.steps();
        let lr = self.config.lr_at(sparsity.schedule_step(step));
        let (model, told) = stepper.step(lr, model, &mut sparsity, self.windows(step))?;
        progress.loss += told.loss;
        progress.passes += told.passes;
        progress.peak_bytes = progress.peak_bytes.max(MEMORY.peak_usage());
        progress.seconds += started.elapsed().as_secs_f64();
        Ok(State {
            model,
            stepper,
            sparsity,
            progress,
        })
    }

    /// Closes what was added up since the last validation with another.
    fn validated(&self, state: &mut State) -> Metrics {
        let step = state.stepper.steps();
        let validation_bits = self.validation_bits(&state.model, &state.sparsity);
        let live_weights = state.sparsity.report(&state.model).live_weights;
        let progress = &mut state.progress;
        let since = step - progress.history.last().map_or(0, |last| last.step);
        let metrics = Metrics {
            step,
            train_bits: std::mem::take(&mut progress.loss) / LN_2 / since.max(1) as f64,
            validation_bits,
            live_weights,
            passes: progress.passes,
            seconds: progress.seconds,
            peak_megabytes: progress.peak_bytes as f64 / 1e6,
        };
        progress.history.push(metrics.clone());
        metrics
    }

    /// Bits per byte of the validation windows, computed with the live weights only.
    fn validation_bits(&self, model: &Gpt, sparsity: &Sparsity) -> f64 {
        let (model, device) = (model.valid(), self.device.clone().without_autodiff());
        let length = self.config.model.context + 1;
        let windows = self.text.validation(self.config.windows, length);
        let sums = windows.chunks(self.config.batch_size).map(|batch| {
            let losses = sparsity.run(|| model.losses(tensor(batch, &device)));
            f64::from(losses.sum().into_scalar::<f32>())
        });
        sums.sum::<f64>() / windows.len() as f64 / LN_2
    }

    fn save(&self, state: &State) -> Result<()> {
        match &self.store {
            Some(store) => {
                let State {
                    model,
                    stepper,
                    sparsity,
                    progress,
                } = state;
                stepper.save(store, model, sparsity, progress)
            }
            None => Ok(()),
        }
    }

    /// Says what came out, keeps it, and lets it write.
    fn done(&self, state: &State) -> Result<()> {
        let report = state.sparsity.report(&state.model);
        eprintln!("{report}");
        let last = state.progress.history.last();
        let last = last.context("a finished run was validated")?;
        if let Some(path) = self.output.path("model.safetensors") {
            let card = Card::new(&self.config.model)?
                .with_data(format!("text of {}", self.text.fingerprint))
                .with_method(&self.config.method)?
                .with_result("steps", last.step as f64)
                .with_result("validation bits per byte", last.validation_bits);
            let masks = state.sparsity.masks();
            let options = SaveOptions::new().with_card(card);
            options.save(path, &state.model, masks)?;
        }
        eprintln!(
            "validation {:.4} bits per byte, at most {:.1} MB while training",
            last.validation_bits, last.peak_megabytes
        );
        let writer = Writer {
            model: &state.model.valid(),
            config: &self.config.model,
        };
        writer.show(&self.options.sample, self.config.seed, &self.output)?;
        self.output.event(&json!({
            "event": "done",
            "validation_bits": last.validation_bits,
            "live_weights": report.live_weights,
            "parameters": state.model.num_params(),
            "steps": last.step,
            "forwards": last.passes.forwards,
            "backwards": last.passes.backwards,
            "peak_megabytes": last.peak_megabytes,
            "seconds": last.seconds,
            "weights_hash": fingerprint(&state.model),
        }))
    }

    fn bar(&self, steps: u64) -> ProgressBar {
        let style = "[{bar:30}] {pos}/{len} steps, {eta} left";
        let style = ProgressStyle::with_template(style).expect("the template is valid");
        ProgressBar::new(steps).with_style(style.progress_chars("=> "))
    }
}
