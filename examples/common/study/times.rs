//! What runs cost: epochs of equal time, and what a study will take.

use anyhow::{Context, Result, bail};

use super::making::Studying;
use super::plan::Equal;
use crate::common::Program;
use crate::common::args::Args;
use crate::common::cli;

impl Studying {
    /// Gives each column as many epochs as cost what those of the baseline do, if times are to be equal.
    pub fn settle_epochs<P: Program>(&mut self) -> Result<()> {
        if self.plan.equal == Equal::Epochs {
            return Ok(());
        }
        let columns = self.plan.columns.len();
        let mut ratios = vec![Vec::new(); columns];
        for round in 0..self.command.rounds {
            let mut seconds = Vec::new();
            for column in 0..columns {
                seconds.push(self.short::<P>(column, round)?);
            }
            let baseline = seconds[self.plan.baseline()];
            for (ratios, seconds) in ratios.iter_mut().zip(seconds) {
                ratios.push(seconds / baseline);
            }
        }
        let epochs = self
            .args::<P>(self.plan.options(0, self.plan.baseline()))?
            .epochs();
        for (column, mut ratios) in ratios.into_iter().enumerate() {
            ratios.sort_by(f64::total_cmp);
            let cost = ratios[ratios.len() / 2];
            let fitting = ((epochs as f64 / cost).round() as usize).max(1);
            let name = &self.plan.columns[column].name;
            eprintln!("{name}: a step costs {cost:.2}, so {fitting} epochs");
            self.epochs.insert(column, fitting);
        }
        Ok(())
    }

    /// Seconds of twenty steps of the first row, without a change of masks.
    fn short<P: Program>(&mut self, column: usize, round: u64) -> Result<f64> {
        let mut options = self.plan.options(0, column);
        let args = self.args::<P>(options.clone())?;
        let limit = (20 * args.batch_size()).min(args.data.limit().unwrap_or(usize::MAX));
        let short = format!("--limit {limit} --epochs 1 --test-limit 250 --update-every 100");
        options.extend(short.split_whitespace().map(str::to_string));
        if self.store.get(&options, round).is_none() && !self.train::<P>(&options, round)? {
            bail!("interrupted: the same command goes on from here");
        }
        let run = self
            .store
            .get(&options, round)
            .context("a run that was made is kept")?;
        Ok(run.seconds())
    }

    fn args<P: Program>(&self, options: Vec<String>) -> Result<Args> {
        Ok(cli::train::<P>(options)?.args)
    }

    /// Lists the runs, and what they will take.
    pub fn foretell<P: Program>(&mut self) -> Result<()> {
        let mut per_image = Vec::new();
        for column in 0..self.plan.columns.len() {
            let args = self.args::<P>(self.plan.options(0, column))?;
            let limit = (20 * args.batch_size()).min(args.data.limit().unwrap_or(usize::MAX));
            per_image.push(self.short::<P>(column, 0)? / limit as f64);
        }
        let mut total = 0.0;
        for cell in self.plan.cells() {
            let options = self.options(&cell);
            let args = self.args::<P>(options.clone())?;
            let images = args.data.limit().unwrap_or(50_000) * args.epochs();
            let (state, seconds) = match self.store.get(&options, cell.seed) {
                Some(_) => ("finished", 0.0),
                None => ("to do", per_image[cell.column] * images as f64),
            };
            total += seconds;
            println!("{state:<9} {seconds:>7.0} s  {}", self.describe(&cell));
        }
        println!(
            "{:.1} hours, tests and lottery tickets' further levels left out",
            total / 3600.0
        );
        Ok(())
    }
}
