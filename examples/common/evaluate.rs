//! Testing a model file.

use std::path::Path;

use anyhow::Result;
use zosam::analysis::Evaluation;
use zosam::data::Loader;
use zosam::model_file::load_model;

use super::args::Args;
use super::config::device;
use super::output::{Event, Output};
use super::{Classifier, Network, NetworkConfig, dataset, robustness};

/// Prints what a model makes of the test images, and of corrupted ones if that is asked for.
pub fn run<N: Network>(
    network: &N,
    args: &Args,
    path: &Path,
    corruptions: &robustness::Options,
) -> Result<()> {
    let data = dataset::load(args)?;
    let published = corruptions.folder(args.dataset)?;
    let device = device(args.device)?;
    let model = network
        .config(data.shape, data.train.classes())?
        .init(&device)?;
    let (model, masks) = load_model(path, model)?;
    let (_, test) = dataset::loaders(args, &data)?;
    let evaluate = |loader: &Loader| -> Result<Evaluation> {
        let mut evaluation = Evaluation::new(data.test.classes());
        for batch in loader.epoch(0, 0) {
            let (images, labels) = batch?.to_tensors(&device);
            evaluation.add(model.logits(images), labels);
        }
        Ok(evaluation)
    };
    let evaluation = evaluate(&test)?;
    if !masks.is_dense() {
        let (live, all) = (masks.live_weights(), masks.prunable_weights());
        eprintln!("{live} of {all} masked weights live");
    }
    let percent = |share: f64| format!("{:.2}%", 100.0 * share);
    eprintln!("{} test images", evaluation.images());
    eprintln!("accuracy           {}", percent(evaluation.accuracy()));
    eprintln!("top-5 accuracy     {}", percent(evaluation.top5()));
    eprintln!("loss               {:.4}", evaluation.loss());
    eprintln!(
        "calibration error  {}",
        percent(evaluation.calibration_error())
    );
    if evaluation.confusion().len() <= 20 {
        eprintln!("confusion (rows: classes, columns: answers)");
        for row in evaluation.confusion() {
            let cells: Vec<String> = row.iter().map(|count| format!("{count:>5}")).collect();
            eprintln!("{}", cells.join(" "));
        }
    }
    let output = Output::new(args.json, None);
    output.event(&Event::Evaluation {
        accuracy: evaluation.accuracy(),
        top5: evaluation.top5(),
        loss: evaluation.loss(),
        calibration_error: evaluation.calibration_error(),
        confusion: evaluation.confusion(),
    })?;
    if corruptions.is_empty() {
        return Ok(());
    }
    let accuracy = |images| {
        let loader = Loader::new(images, test.config().clone())?;
        Ok(evaluate(&loader)?.accuracy())
    };
    let robustness = corruptions.measure(
        &data.test,
        evaluation.accuracy(),
        published.as_deref(),
        args.seed,
        accuracy,
    )?;
    eprint!("{robustness}");
    output.event(&Event::Robustness {
        mean_error: robustness.mean_error(),
        mean_extra_error: robustness.mean_extra_error(),
        robustness: &robustness,
    })
}
