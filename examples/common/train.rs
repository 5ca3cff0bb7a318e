//! The training run.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::optim::Optimizer;
use burn::tensor::{Device, Int, Tensor};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use zosam::checkpoint::{Store, claim, fingerprint};
use zosam::compile::Uses;
use zosam::data::{Batch, Loader, LoaderConfig, balanced};
use zosam::masks::Masks;
use zosam::optim::WeightAverage;
use zosam::perturb::Sharpness;
use zosam::sparse::{Classification, Method, SparsityReport};
use zosam::{SharpOptimizer, Sparsity};

use super::args::{Args, MeasureName, OptimizerName};
use super::batch::Tensors;
use super::config::{Config, device};
use super::dataset;
use super::measure::{self, Measured};
use super::output::{Done, Event, Output};
use super::progress::{Progress, Tested};
use super::{Classifier, Network, NetworkConfig};

/// Trains as the arguments say.
pub fn run<N: Network>(network: N, args: Args) -> Result<()> {
    let data = dataset::load(&args)?;
    let model = network.config(data.shape, data.train.classes())?;
    let config = Config::new(&args, model, data.train.len())?;
    let shape = data.shape;
    let (train, test) = dataset::loaders(&args, &data)?;
    let store = prepare_folder(&args, &config)?;
    let stop = Arc::new(AtomicBool::new(false));
    let handler = Arc::clone(&stop);
    ctrlc::set_handler(move || handler.store(true, Ordering::Relaxed))
        .context("the interrupt handler cannot be installed")?;
    let run = Run {
        output: Output::new(args.json, args.out.clone()),
        device: device(config.device)?.autodiff(),
        args,
        config,
        train,
        test,
        shape,
        uses: OnceLock::new(),
        store,
        stop,
    };
    match run.config.optimizer {
        OptimizerName::Sgd => run.with_optimizer(|decay| run.config.sgd(decay)),
        OptimizerName::Adamw => run.with_optimizer(|decay| run.config.adamw(decay)),
    }
}

/// Opens the output folder: a new run needs an empty one, a resumed run its own.
fn prepare_folder<C: NetworkConfig>(args: &Args, config: &Config<C>) -> Result<Option<Store>> {
    let Some(folder) = &args.out else {
        return Ok(None);
    };
    if !args.resume && folder.join("config.json").exists() {
        bail!(
            "{} holds a run already: add --resume to go on with it, or choose another --out",
            folder.display()
        );
    }
    let store = Store::open(folder.join("checkpoints"))?;
    claim(&folder.join("config.json"), config)?;
    Ok(Some(store))
}

struct Run<C> {
    args: Args,
    config: Config<C>,
    train: Loader,
    test: Loader,
    /// Channels, height and width of the images.
    shape: [usize; 3],
    /// How often a forward pass uses each weight.
    uses: OnceLock<Uses>,
    store: Option<Store>,
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

impl<C: NetworkConfig> Run<C> {
    fn with_optimizer<O: Optimizer>(&self, base: impl Fn(f64) -> O) -> Result<()> {
        let config = &self.config;
        let model = self.start()?;
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
        let mut sparsity = config.sparsity(&model)?;
        let average = |model: &C::Model| {
            let decay = config.average;
            decay
                .map(|decay| WeightAverage::new(decay, model))
                .transpose()
        };
        let Some((store, folder)) = self.newest_checkpoint()? else {
            self.output.rewrite(&[])?;
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
            store.load_averaged(&folder, model, optim, &mut sparsity, average)?;
        let progress: Progress = progress;
        self.output.rewrite(&progress.history)?;
        eprintln!(
            "resuming after {} steps, from {}",
            optim.steps(),
            folder.display()
        );
        self.train(State {
            model,
            optim,
            sparsity,
            average,
            progress,
        })
    }

    /// The network before training: random, or with the weights of a file.
    fn start(&self) -> Result<C::Model> {
        let config = &self.config;
        self.device.seed(config.seed);
        match &config.finetune {
            Some(path) => config.model.load(path, &self.device),
            None => Ok(config.model.init(&self.device)?),
        }
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
        if !others.iter().any(|what| self.args.measure.contains(what)) {
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

    fn newest_checkpoint(&self) -> Result<Option<(&Store, PathBuf)>> {
        match &self.store {
            Some(store) => Ok(store.latest()?.map(|folder| (store, folder))),
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
            let tested = epoch.is_multiple_of(self.args.evaluate_every.get()) || epoch == epochs;
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
            self.output.keep(&metrics)?;
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
        let Some(store) = &self.store else {
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
        let total = self.config.epochs as u64 * steps;
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
                .lr_at(sparsity.schedule_step(optim.steps()), total);
            let step = optim.steps();
            let measured = step.is_multiple_of(self.args.measure_every.get());
            let start = (measured && !self.args.measure.is_empty())
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
                step.add(&self.args.measure, &mut totals.measured)?;
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
        if self.args.layer_times {
            eprintln!("{}", state.sparsity.masks().execution_report());
        }
        self.output.event(&Event::Sparsity {
            when: "end",
            report: &report,
        })?;
        let progress = &state.progress;
        let masks = state.sparsity.masks();
        self.output.draw(&progress.history, &report)?;
        self.output.keep_model("model", &state.model, masks)?;
        if let Some(average) = &state.average {
            self.output
                .keep_model("model-average", &average.sparse(masks), masks)?;
        }
        let last = progress.history.last();
        let last = last.context("a finished run has an epoch")?;
        let test = last.test.context("the last epoch is tested")?;
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

    fn report<O: Optimizer>(&self, state: &State<C::Model, O>) -> SparsityReport {
        let report = state.sparsity.report(&state.model);
        let uses = self.uses.get_or_init(|| {
            let [channels, height, width] = self.shape;
            let images = Tensor::<4>::zeros([1, channels, height, width], &Device::flex());
            Uses::of(&state.model, images, |model, images| model.logits(images))
                .expect("forward passes of the bundled networks can be recorded")
        });
        report.with_uses(|path| uses.of_path(path))
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

/// Number of images whose largest logit is their label's.
fn correct(logits: Tensor<2>, labels: Tensor<1, Int>) -> u64 {
    let hits = logits.argmax(1).flatten::<1>(0, 1).equal(labels);
    hits.int().sum().into_scalar::<i64>() as u64
}
