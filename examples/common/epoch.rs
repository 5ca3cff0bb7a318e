//! One epoch of a run.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use burn::module::Module;
use burn::optim::Optimizer;
use burn::tensor::{Int, Tensor};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use zosam::data::{Batch, Loader, LoaderConfig, balanced};
use zosam::masks::Masks;
use zosam::sparse::Method;

use super::args::MeasureName;
use super::batch::Tensors;
use super::measure::{self, Measured};
use super::progress::{Diverged, Progress, Tested};
use super::run::{Run, State};
use super::{Classifier, Network};

impl<C: Network> Run<C> {
    /// Trains to the end of the current epoch, or until the user interrupts.
    pub fn epoch<O: Optimizer>(&self, state: State<C::Model, O>) -> Result<State<C::Model, O>> {
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
    pub fn evaluate(&self, model: &C::Model, masks: &Masks) -> Result<Tested> {
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

    /// What methods that score weights before training do so on: the first batch or, for GraSP, ten images of each
    /// class in two halves.
    pub fn scoring_batches(&self) -> Result<Vec<Batch>> {
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
