//! Testing a model file.

use std::sync::Arc;

use anyhow::Result;
use zosam::analysis::Evaluation;
use zosam::data::{ImageSource, Loader};
use zosam::masks::Execution;

use super::cli::Evaluate;
use super::file::{self, FileTask, Opened};
use super::output::{Event, Output, percent};
use super::robustness::CorruptionArgs;
use super::{Classifier, Network, Program, dataset};

/// Prints what a model makes of the test images, and of corrupted ones if that is asked for.
pub fn run<P: Program>(command: Evaluate<P>) -> Result<()> {
    let task = Testing {
        corruptions: command.corruptions,
        seed: command.seed,
        json: command.file.machine.json,
    };
    file::with(command.model, command.file, task)
}

struct Testing {
    corruptions: CorruptionArgs,
    seed: u64,
    json: bool,
}

impl FileTask for Testing {
    fn run<N: Network>(self, opened: Opened<N>) -> Result<()> {
        let images: Arc<dyn ImageSource> = match &opened.images {
            Some(images) => Arc::clone(&images.test),
            None => dataset::for_testing(&opened.data, &opened.input, &opened.classes)?,
        };
        let published = self.corruptions.folder(opened.data.dataset())?;
        let normalization = opened.input.normalization();
        let loader = dataset::test_loader(&opened.data, Arc::clone(&images), &normalization)?;
        let evaluate = |loader: &Loader| -> Result<Evaluation> {
            let mut evaluation = Evaluation::new(images.classes());
            for batch in loader.epoch(0, 0) {
                let (images, labels) = batch?.to_tensors(&opened.device);
                let logits = || opened.model.logits(images);
                evaluation.add(opened.masks.run(Execution::Auto, logits), labels);
            }
            Ok(evaluation)
        };
        let evaluation = evaluate(&loader)?;
        let masks = &opened.masks;
        if !masks.is_dense() {
            let (live, all) = (masks.live_weights(), masks.prunable_weights());
            eprintln!("{live} of {all} masked weights live");
        }
        print(&evaluation);
        let output = Output::new(self.json, None);
        output.event(&Event::Evaluation {
            accuracy: evaluation.accuracy(),
            top5: evaluation.top5(),
            loss: evaluation.loss(),
            calibration_error: evaluation.calibration_error(),
            confusion: evaluation.confusion(),
        })?;
        if self.corruptions.is_empty() {
            return Ok(());
        }
        let accuracy = |images| {
            let loader = Loader::new(images, loader.config().clone())?;
            Ok(evaluate(&loader)?.accuracy())
        };
        let (clean, folder) = (evaluation.accuracy(), published.as_deref());
        let robustness = self
            .corruptions
            .measure(&images, clean, folder, self.seed, accuracy)?;
        eprint!("{robustness}");
        output.event(&Event::Robustness {
            mean_error: robustness.mean_error(),
            mean_extra_error: robustness.mean_extra_error(),
            robustness: &robustness,
        })
    }
}

fn print(evaluation: &Evaluation) {
    eprintln!("{} test images", evaluation.images());
    eprintln!("accuracy           {}", percent(evaluation.accuracy()));
    eprintln!("top-5 accuracy     {}", percent(evaluation.top5()));
    eprintln!("loss               {:.4}", evaluation.loss());
    let error = percent(evaluation.calibration_error());
    eprintln!("calibration error  {error}");
    if evaluation.confusion().len() <= 20 {
        eprintln!("confusion (rows: classes, columns: answers)");
        for row in evaluation.confusion() {
            let cells: Vec<String> = row.iter().map(|count| format!("{count:>5}")).collect();
            eprintln!("{}", cells.join(" "));
        }
    }
}
