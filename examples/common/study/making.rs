//! The runs of a study, and its report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use zosam::checkpoint::write_atomically;

use super::plan::{Cell, Plan};
use super::store::{self, Finished, Store};
use super::{curves, page, table};
use crate::common::cli::Study;
use crate::common::{Program, interrupt, train};

/// A study that is being made.
pub struct Studying {
    pub command: Study,
    pub plan: Plan,
    pub store: Store,
    pub started: Instant,
    /// Seconds that runs took, by row and column.
    pub seconds: BTreeMap<(usize, usize), f64>,
    /// Epochs of columns, where these are not the plan's own.
    pub epochs: BTreeMap<usize, usize>,
}

impl Studying {
    /// All that sets a run apart.
    pub fn options(&self, cell: &Cell) -> Vec<String> {
        let epochs = self.epochs.get(&cell.column);
        let epochs = epochs
            .into_iter()
            .flat_map(|epochs| ["--epochs".to_string(), epochs.to_string()]);
        cell.options.iter().cloned().chain(epochs).collect()
    }

    /// Makes the runs that are not finished, and reports after each.
    pub fn make<P: Program>(&mut self) -> Result<()> {
        self.keep_environment()?;
        for cell in self.plan.cells() {
            let options = self.options(&cell);
            if self.store.get(&options, cell.seed).is_some() {
                continue;
            }
            if let Some(budget) = self.command.budget {
                let expected = self.expected(&cell);
                if self.started.elapsed() + Duration::from_secs_f64(expected) > budget {
                    eprintln!("{}: not run, for want of time", self.describe(&cell));
                    continue;
                }
            }
            eprintln!("{}", self.describe(&cell));
            let began = Instant::now();
            if !self.train::<P>(&options, cell.seed)? {
                self.report()?;
                bail!("interrupted: the same command goes on from here");
            }
            let taken = began.elapsed().as_secs_f64();
            self.seconds.insert((cell.row, cell.column), taken);
            self.report()?;
        }
        self.report()?;
        eprintln!("{}", self.command.out.join("report.html").display());
        Ok(())
    }

    /// Seconds that a run will take, by those that have been made; 0 of the first.
    fn expected(&self, cell: &Cell) -> f64 {
        let same = self.seconds.get(&(cell.row, cell.column));
        let of_column = self
            .seconds
            .iter()
            .filter(|((_, column), _)| *column == cell.column);
        let longest = |seconds: f64, (_, of): (_, &f64)| seconds.max(*of);
        match same {
            Some(seconds) => *seconds,
            None => match of_column.fold(0.0, longest) {
                0.0 => self.seconds.iter().fold(0.0, longest),
                seconds => seconds,
            },
        }
    }

    /// Makes a run and keeps it; `false` if the user wants no more.
    pub fn train<P: Program>(&mut self, options: &[String], seed: u64) -> Result<bool> {
        let folder = self.store.folder(options, seed);
        let mut words = options.to_vec();
        words.extend(["--seed".to_string(), seed.to_string()]);
        words.extend(["--out".to_string(), folder.display().to_string()]);
        if let Some(data) = &self.command.data {
            words.extend(["--data".to_string(), data.display().to_string()]);
        }
        if folder.join("config.json").exists() {
            words.push("--resume".to_string());
        }
        train::words::<P>(words)?;
        if interrupt::asked() {
            return Ok(false);
        }
        self.store.keep(Finished {
            options: options.to_vec(),
            seed,
            history: store::history(&folder)?,
        })?;
        // The model stays; what a finished run could go on from is much larger.
        std::fs::remove_dir_all(folder.join("checkpoints")).context("checkpoints")?;
        Ok(true)
    }

    /// A run in words.
    pub fn describe(&self, cell: &Cell) -> String {
        let (row, column) = (&self.plan.rows[cell.row], &self.plan.columns[cell.column]);
        let folder = self.store.folder(&self.options(cell), cell.seed);
        let folder = folder.file_name().unwrap_or_default().to_string_lossy();
        format!(
            "{}, {}, seed {} ({folder})",
            row.name, column.name, cell.seed
        )
    }

    /// What was run on what.
    fn keep_environment(&self) -> Result<()> {
        let environment = json!({
            "zosam": env!("CARGO_PKG_VERSION"),
            "system": std::env::consts::OS,
            "processor": std::env::consts::ARCH,
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "threads": std::env::var("RAYON_NUM_THREADS").ok(),
            "study": self.command.what,
            "options": self.plan.options,
            "with": self.plan.with,
        });
        let text = format!("{environment:#}\n");
        Ok(write_atomically(
            &self.command.out.join("environment.json"),
            text.as_bytes(),
        )?)
    }

    /// The finished runs of a row and a column, by seed.
    fn found(&self, row: usize, column: usize) -> Vec<&Finished> {
        let cells = self.plan.cells().into_iter();
        let cells = cells.filter(|cell| (cell.row, cell.column) == (row, column));
        cells
            .filter_map(|cell| self.store.get(&self.options(&cell), cell.seed))
            .collect()
    }

    /// Writes tables, pictures and the page.
    fn report(&self) -> Result<()> {
        let found: Vec<Vec<Vec<&Finished>>> = (0..self.plan.rows.len())
            .map(|row| {
                (0..self.plan.columns.len())
                    .map(|column| self.found(row, column))
                    .collect()
            })
            .collect();
        let tables = table::all(&self.plan, &found);
        let sentences = table::sentences(&self.plan, &found);
        let curves = curves::all(&self.plan, &found)?;
        let markdown = table::markdown(&self.plan, &tables, &sentences);
        self.write("report.md", &markdown)?;
        for (name, svg) in &curves {
            self.write(&format!("{name}.svg"), svg)?;
        }
        let card = self.command.out.join("sharpness.svg");
        let card = std::fs::read_to_string(card).ok();
        let page = page::page(&self.plan, &tables, &sentences, &curves, card.as_deref());
        self.write("report.html", &page)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path: PathBuf = Path::new(&self.command.out).join(name);
        Ok(write_atomically(&path, text.as_bytes())?)
    }
}
