//! The training run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::optim::Optimizer;
use burn::tensor::{Device, Int, Tensor};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use zosam::checkpoint::{Store, fingerprint};
use zosam::data::{Batch, Loader, LoaderConfig, balanced};
use zosam::masks::Masks;
use zosam::model_file::{Card, read_card, start_from};
use zosam::optim::WeightAverage;
use zosam::perturb::Sharpness;
use zosam::sparse::{Classification, Method, SparsityReport};
use zosam::{SharpOptimizer, Sparsity};

use super::args::{Args, AugmentName, MeasureName, OptimizerName};
use super::augment::Augmented;
use super::batch::Tensors;
use super::config::{Config, Extension, device};
use super::dataset::{self, Data};
use super::folder::{self, Folder};
use super::measure::{self, Measured};
use super::output::{Done, Event, Output};
use super::progress::{Diverged, EpochMetrics, Progress, Tested};
use super::{Classifier, Network, Program, Task, file, last_batch};

/// Trains as the arguments say.
pub fn run<P: Program>(options: P::Options, mut args: Args) -> Result<()> {
    if args.epochs() == 0 || args.batch_size() == 0 || args.fit.accumulate == 0 {
        bail!("--epochs, --batch-size and --accumulate must be at least 1");
    }
    let card = match &args.run.finetune {
        Some(path) => read_card(path)?,
        None => None,
    };
    if let Some(card) = &card {
        file::take_dataset(&mut args.data, card);
    }
    let whole = args.augment.augment == AugmentName::Deit;
    let data = dataset::for_training(&args.data, card.as_ref(), &args.defaults, whole)?;
    let (shape, classes) = (data.shape, data.classes.len());
    match card {
        Some(card) => P::by_card(&options, &card, Training { args, data }),
        None => P::by_options(&options, shape, classes, Training { args, data }),
    }
}

struct Training {
    args: Args,
    data: Data,
}

impl Task for Training {
    fn run<C: Network>(self, config: C) -> Result<()> {
        let Self { args, data } = self;
        let model = config.fitted(data.shape, data.classes.len());
        let device = device(args.machine.device)?.autodiff();
        let [_, height, width] = data.shape;
        let size = [height, width];
        let train = train_loader(&args, &data)?;
        let train = last_batch::without_single_values(train, &model.init(&device)?, size)?;
        let test = dataset::test_loader(&args.data, Arc::clone(&data.test), &data.normalization)?;
        let mut config = Config::new(&args, model, &data, train.len())?;
        let folder = folder::open(&args, &mut config)?;
        let stop = Arc::new(AtomicBool::new(false));
        let handler = Arc::clone(&stop);
        ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed))
            .context("the interrupt handler cannot be installed")?;
        let run = Run {
            output: Output::new(args.machine.json, args.run.out.clone()),
            device,
            args,
            config,
            train,
            test,
            size,
            classes: data.classes,
            folder,
            stop,
        };
        let sgd = run.config.clone();
        match run.config.optimizer {
            OptimizerName::Sgd => run.with_optimizer(|decay| sgd.sgd(decay)),
            OptimizerName::Adamw => run.with_optimizer(|decay| sgd.adamw(decay)),
        }
    }
}

/// Shuffled, augmented batches.
fn train_loader(args: &Args, data: &Data) -> Result<Loader> {
    let [_, height, width] = data.shape;
    let augmented = Augmented::new(&args.augment, args.data.dataset(), [height, width]);
    let config = augmented.of(LoaderConfig {
        batch_size: args.batch_size(),
        seed: args.run.seed,
        workers: args.data.workers,
        normalization: Some(data.normalization.clone()),
        corrupt_images: dataset::corrupt_images(&args.data),
        ..LoaderConfig::default()
    });
    Ok(Loader::new(Arc::clone(&data.train), config)?)
}

struct Run<C: Network> {
    args: Args,
    config: Config<C>,
    train: Loader,
    test: Loader,
    /// Height and width of the images.
    size: [usize; 2],
    /// Names of the classes.
    classes: Vec<String>,
    folder: Option<Folder>,
    stop: Arc<AtomicBool>,
    output: Output,
    device: Device,
}

type Optim<O> = SharpOptimizer<Sharpness, O>;

/// What changes from step to step.
struct State<M, O> {
    model: M,
    optim: Optim<O>,
    sparsity: Sparsity,
    average: Option<WeightAverage<M>>,
    progress: Progress,
}

impl<C: Network> Run<C> {
    fn with_optimizer<O: Optimizer>(mut self, base: impl Fn(f64) -> O) -> Result<()> {
        let config = &self.config;
        let newest = self.newest_checkpoint()?;
        let (model, masks) = match &newest {
            // What it starts from is in the checkpoint.
            Some(_) => (config.model.init(&self.device)?, Masks::dense()),
            None => self.start()?,
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

    /// The network before training, random or with the weights of a file, and the file's masks.
    fn start(&self) -> Result<(C::Model, Masks)> {
        let config = &self.config;
        self.device.seed(config.seed);
        let Some(path) = &config.finetune else {
            return Ok((config.model.init(&self.device)?, Masks::dense()));
        };
        let start = start_from(path, &config.model, &self.classes, &self.device)?;
        let shown = path.display();
        if let Some(classes) = start.other_classes {
            let own = self.classes.len();
            eprintln!(
                "{shown} is for {classes} classes, which are others: the classifier starts afresh for {own}"
            );
        }
        if start.resampled {
            eprintln!("{shown} is for images of another size: its position embedding is resampled");
        }
        eprintln!("fine-tuning {shown}: optimizer and schedules start afresh");
        Ok((start.model, start.masks))
    }

    /// What methods that score weights before training do so on: the first batch or, for GraSP, ten images of each
    /// class in two halves.
    fn scoring_batches(&self) -> Result<Vec<Batch>> {
        if let Method::Grasp(_) = self.config.method {
            let seed = self.config.seed;
            return balanced(&self.train, 10, 2, seed)
                .context("GraSP scores weights on ten images of each class");
        }
        let first = self.plain()?.epoch(0, 0).next();
        Ok(vec![first.context("there are no images")??])
    }

    /// What is measured on other batches than the step's is measured on these.
    fn batches_to_measure(&self) -> Result<Vec<Tensors>> {
        let others = [MeasureName::LargeCosine, MeasureName::Noise];
        if !others
            .iter()
            .any(|what| self.args.watch.measure.contains(what))
        {
            return Ok(Vec::new());
        }
        let batches = self.plain()?.epoch(0, 0).take(measure::BATCHES);
        batches
            .map(|batch| Ok(Tensors::new(&batch?, &self.device)))
            .collect()
    }

    /// The training images with hard labels, which mixed images do not have.
    fn plain(&self) -> Result<Loader> {
        Ok(self.train.with_config(LoaderConfig {
            mixup: None,
            label_smoothing: 0.0,
            ..self.train.config().clone()
        })?)
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
    fn steps_per_epoch(&self) -> usize {
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

    /// Trains to the end of the current epoch, or until the user interrupts.
    fn epoch<O: Optimizer>(&self, state: State<C::Model, O>) -> Result<State<C::Model, O>> {
        let State {
            mut model,
            mut optim,
            mut sparsity,
            mut average,
            mut progress,
        } = state;
        let bar = self.bar(&progress);
        let steps = self.steps_per_epoch() as u64;
        let before = progress.totals.seconds;
        let others = self.batches_to_measure()?;
        let (started, mut beside) = (Instant::now(), Duration::ZERO);
        let schedule_epoch = sparsity.schedule_step(optim.steps()) / steps;
        let mut batches = self.train.epoch(schedule_epoch, progress.batch).peekable();
        while batches.peek().is_some() {
            let group = batches.by_ref().take(self.config.accumulate);
            let group: Vec<_> = group
                .map(|batch| Ok(Tensors::new(&batch?, &self.device)))
                .collect::<Result<_>>()?;
            let lr = self
                .config
                .lr_at(sparsity.schedule_step(optim.steps()), steps);
            let step = optim.steps();
            let measured = step.is_multiple_of(self.args.watch.measure_every.get());
            let start = (measured && !self.args.watch.measure.is_empty())
                .then(|| (model.clone(), sparsity.masks().clone()));
            let (next, report) = optim.step_accumulated(lr, model, &mut sparsity, &group)?;
            model = next;
            if let Some(average) = &mut average {
                average.update(&model);
            }

            let totals = &mut progress.totals;
            let loss = report.loss_value();
            let mut count = 0;
            for (Tensors { labels, .. }, logits) in group.iter().zip(report.extra) {
                count += labels.dims()[0];
                totals.correct += correct(logits.inner(), labels.clone().inner());
            }
            if !loss.is_finite() {
                progress.diverged = Some(diverged(progress.diverged, step, loss));
            }
            totals.loss += loss * count as f64;
            totals.images += count as u64;
            totals.passes += report.passes;
            totals.plain_steps += u64::from(report.plain.is_some());
            progress.passes += report.passes;
            progress.batch += group.len();
            if let (Some((model, masks)), Some(batch)) = (&start, group.last()) {
                let began = Instant::now();
                let step = Measured {
                    model,
                    masks,
                    batch,
                    offset: report.offset.as_ref(),
                    others: &others,
                    seed: self.config.seed,
                    step,
                };
                step.add(&self.args.watch.measure, &mut totals.measured)?;
                beside += began.elapsed();
            }
            totals.seconds = before + (started.elapsed() - beside).as_secs_f64();
            bar.inc(count as u64);
            bar.set_message(format!("loss {:.4}", totals.loss / totals.images as f64));
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        bar.finish_and_clear();
        Ok(State {
            model,
            optim,
            sparsity,
            average,
            progress,
        })
    }

    /// Loss and accuracy on the test images, computed with the live weights only.
    fn evaluate(&self, model: &C::Model, masks: &Masks) -> Result<Tested> {
        let model = model.valid();
        let device = self.device.clone().without_autodiff();
        let (mut loss, mut hits, mut count) = (0.0, 0, 0);
        for batch in self.test.epoch(0, 0) {
            let (images, labels) = batch?.to_tensors(&device);
            let size = labels.dims()[0];
            let evaluate = || model.loss(images, labels.clone());
            let (mean, logits) = masks.run(self.config.execution, evaluate);
            loss += f64::from(mean.into_scalar::<f32>()) * size as f64;
            hits += correct(logits, labels);
            count += size as u64;
        }
        Ok(Tested {
            test_loss: loss / count as f64,
            test_accuracy: hits as f64 / count as f64,
        })
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

    fn done<O: Optimizer>(&self, state: &State<C::Model, O>) -> Result<()> {
        let report = self.report(state);
        eprintln!("{report}");
        if self.args.watch.layer_times {
            eprintln!("{}", state.sparsity.masks().execution_report());
        }
        self.output.event(&Event::Sparsity {
            when: "end",
            report: &report,
        })?;
        let progress = &state.progress;
        let masks = state.sparsity.masks();
        self.output.draw(&progress.history, &report)?;
        let last = progress.history.last();
        let last = last.context("a finished run has an epoch")?;
        let test = last.test.context("the last epoch is tested")?;
        let card = self.card(last, state)?;
        let own = card
            .clone()
            .with_result("test accuracy", test.test_accuracy);
        let own = own.with_result("test loss", test.test_loss);
        self.output.keep_model("model", &state.model, masks, own)?;
        if let Some(average) = &state.average {
            let accuracy = last.average_accuracy.unwrap_or(f64::NAN);
            let card = card.with_result("test accuracy", accuracy);
            let model = average.sparse(masks);
            self.output
                .keep_model("model-average", &model, masks, card)?;
        }
        eprintln!("test accuracy {:.2}%", 100.0 * test.test_accuracy);
        if let Some(accuracy) = last.average_accuracy {
            eprintln!("of the averaged weights {:.2}%", 100.0 * accuracy);
        }
        self.output.event(&Event::Done(Box::new(Done {
            test_accuracy: test.test_accuracy,
            test_loss: test.test_loss,
            sparsity_prunable: report.sparsity_over_prunable(),
            sparsity_model: report.sparsity_over_model(),
            live_weights: report.live_weights,
            passes: progress.passes,
            steps: state.optim.steps(),
            weights_hash: fingerprint(&state.model),
        })))
    }

    /// What the run's model file says of itself.
    fn card<O: Optimizer>(&self, last: &EpochMetrics, state: &State<C::Model, O>) -> Result<Card> {
        let config = &self.config;
        let method = json!({
            "method": config.method,
            "granularity": config.granularity,
            "densities": config.densities,
        });
        let card = file::card(&config.model, &self.classes, &config.input)?
            .with_data(config.dataset.name())
            .with_method(&method)?
            .with_result("epochs", last.epoch as f64 + 1.0)
            .with_result("steps", state.optim.steps() as f64)
            .with_result("train loss", last.train_loss);
        Ok(card)
    }

    fn report<O: Optimizer>(&self, state: &State<C::Model, O>) -> SparsityReport {
        let report = state.sparsity.report(&state.model);
        report.with_uses(|path| state.model.uses(path, self.size))
    }

    fn bar(&self, progress: &Progress) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(
            Some(self.train.images().len() as u64),
            ProgressDrawTarget::stderr(),
        );
        let style = "{prefix} [{bar:30}] {pos}/{len} images, {per_sec:.0}, {eta} left, {msg}";
        bar.set_style(
            ProgressStyle::with_template(style)
                .expect("the template is valid")
                .progress_chars("=> ")
                .with_key(
                    "per_sec",
                    |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                        let _ = write!(out, "{:.1} images/s", state.per_sec());
                    },
                ),
        );
        bar.set_prefix(format!(
            "epoch {}/{}",
            progress.epoch + 1,
            self.config.run_epochs(self.steps_per_epoch())
        ));
        bar.set_position(progress.totals.images);
        bar.reset_eta();
        bar
    }
}

/// Counts a step whose loss is not finite, and says so at the first.
fn diverged(before: Option<Diverged>, step: u64, loss: f64) -> Diverged {
    match before {
        Some(before) => Diverged {
            steps: before.steps + 1,
            ..before
        },
        None => {
            eprintln!(
                "warning: the loss is {loss} at step {step}: lower --lr, or set --clip-norm; training goes on"
            );
            Diverged {
                first: step,
                steps: 1,
            }
        }
    }
}

/// Number of images whose largest logit is their label's.
fn correct(logits: Tensor<2>, labels: Tensor<1, Int>) -> u64 {
    let hits = logits.argmax(1).flatten::<1>(0, 1).equal(labels);
    hits.int().sum().into_scalar::<i64>() as u64
}
