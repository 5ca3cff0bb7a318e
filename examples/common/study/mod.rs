//! Comparisons of many runs, from a file that says which.

mod curves;
mod page;
mod plan;
mod statistics;
mod store;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use zosam::checkpoint::write_atomically;

use super::args::{Args, DatasetName};
use super::cli::{self, Study};
use super::{Program, analyse, interrupt, train};
use plan::{Cell, Equal, Plan};
use store::{Finished, Store};

/// Makes the runs of a study and reports them; or draws the sharpness card of some runs.
pub fn run<P: Program>(command: Study) -> Result<()> {
    if command.what == "sharpness" {
        return sharpness::<P>(command);
    }
    ensure!(
        command.runs.is_empty(),
        "only `study sharpness` takes runs: {} is one too many",
        command.runs[0].display()
    );
    let mut plan = Plan::read(&command.what)?.only(&command.rows)?;
    plan.seeds = command.seeds.unwrap_or(plan.seeds);
    if let Some(with) = &command.with {
        plan.options = format!("{} {with}", plan.options);
    }
    if let Some(data) = &command.data {
        let held = DatasetName::of_folder(data);
        let held =
            held.with_context(|| format!("--data {}: no data set is known there", data.display()))?;
        plan.options = format!("--dataset {} {}", held.name(), plan.options);
    }
    let mut studying = Studying {
        store: Store::open(&command.out)?,
        started: Instant::now(),
        seconds: BTreeMap::new(),
        epochs: BTreeMap::new(),
        plan,
        command,
    };
    studying.settle_epochs::<P>()?;
    match studying.command.dry_run {
        true => studying.foretell::<P>(),
        false => studying.make::<P>(),
    }
}

/// Portraits of models side by side.
fn sharpness<P: Program>(command: Study) -> Result<()> {
    ensure!(
        !command.runs.is_empty(),
        "study sharpness: name the folders of some runs, or model files"
    );
    let mut portraits = Vec::new();
    for run in &command.runs {
        let model = match run.is_dir() {
            true => run.join("model.safetensors"),
            false => run.clone(),
        };
        let mut words = vec![model.display().to_string()];
        if let Some(data) = &command.data {
            words.extend(["--data".to_string(), data.display().to_string()]);
        }
        words.extend(
            command
                .with
                .iter()
                .flat_map(|with| with.split_whitespace().map(str::to_string)),
        );
        let portrait = analyse::of_file::<P>(cli::analyse::<P>(words)?)?;
        eprint!("{}\n{portrait}", portrait.name);
        portraits.push(portrait);
    }
    std::fs::create_dir_all(&command.out)?;
    let path = command.out.join("sharpness.svg");
    write_atomically(&path, analyse::draw(&portraits)?.as_bytes())?;
    eprintln!("{}", path.display());
    Ok(())
}

struct Studying {
    command: Study,
    plan: Plan,
    store: Store,
    started: Instant,
    /// Seconds that runs took, by row and column.
    seconds: BTreeMap<(usize, usize), f64>,
    /// Epochs of columns, where these are not the plan's own.
    epochs: BTreeMap<usize, usize>,
}

impl Studying {
    /// All that sets a run apart.
    fn options(&self, cell: &Cell) -> Vec<String> {
        let epochs = self.epochs.get(&cell.column);
        let epochs = epochs
            .into_iter()
            .flat_map(|epochs| ["--epochs".to_string(), epochs.to_string()]);
        cell.options.iter().cloned().chain(epochs).collect()
    }

    fn make<P: Program>(&mut self) -> Result<()> {
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
    fn train<P: Program>(&mut self, options: &[String], seed: u64) -> Result<bool> {
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

    /// Gives each column as many epochs as cost what those of the baseline do, if times are to be equal.
    fn settle_epochs<P: Program>(&mut self) -> Result<()> {
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
    fn foretell<P: Program>(&mut self) -> Result<()> {
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

    fn describe(&self, cell: &Cell) -> String {
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
