//! What a run ends with.

use anyhow::{Context, Result};
use burn::optim::Optimizer;
use serde_json::json;
use zosam::checkpoint::fingerprint;
use zosam::model_file::Card;
use zosam::sparse::SparsityReport;

use super::output::{Done, Event};
use super::progress::EpochMetrics;
use super::run::{Run, State};
use super::{Network, file};

impl<C: Network> Run<C> {
    /// Says what came out and keeps it.
    pub fn done<O: Optimizer>(&self, state: &State<C::Model, O>) -> Result<()> {
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

    /// What is live, and what it costs.
    pub fn report<O: Optimizer>(&self, state: &State<C::Model, O>) -> SparsityReport {
        let report = state.sparsity.report(&state.model);
        report.with_uses(|path| self.uses.of_path(path))
    }
}
