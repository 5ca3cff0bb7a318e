//! A study: which runs are compared, as a file says it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// A comparison of runs: rows × columns × seeds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub title: String,
    /// What it is to answer.
    pub question: String,
    /// What had to be assumed.
    #[serde(default)]
    pub assumed: Vec<String>,
    /// Options of all runs, as on the command line.
    pub options: String,
    pub rows: Vec<Variant>,
    pub columns: Vec<Variant>,
    /// The column that the others are compared with.
    pub baseline: String,
    /// A column that the others are compared with, too: one that is to show no effect.
    #[serde(default)]
    pub control: Option<String>,
    /// How many seeds.
    pub seeds: u64,
    /// The first of them: what is chosen by a study must not be reported on the same seeds.
    #[serde(default)]
    pub first_seed: u64,
    #[serde(default)]
    pub equal: Equal,
    /// Options that win over those of rows and columns: not the file's, but the command line's.
    #[serde(skip)]
    pub with: String,
}

/// What all columns get the same of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Equal {
    /// Passes over the images.
    #[default]
    Epochs,
    /// Time: as many epochs as cost what those of the baseline do.
    Seconds,
}

/// A row or a column.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub name: String,
    pub options: String,
    /// Of a row: test accuracies in percent that were published, by column.
    #[serde(default)]
    pub published: std::collections::BTreeMap<String, f64>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    pub row: usize,
    pub column: usize,
    pub seed: u64,
    /// All that sets it apart, without where its images lie.
    pub options: Vec<String>,
}

/// The studies that come with the program.
const OURS: [(&str, &str); 9] = [
    ("paper", include_str!("../../../recipes/studies/paper.json")),
    (
        "variants",
        include_str!("../../../recipes/studies/variants.json"),
    ),
    (
        "radius",
        include_str!("../../../recipes/studies/radius.json"),
    ),
    (
        "methods",
        include_str!("../../../recipes/studies/methods.json"),
    ),
    (
        "seconds",
        include_str!("../../../recipes/studies/seconds.json"),
    ),
    (
        "sparser",
        include_str!("../../../recipes/studies/sparser.json"),
    ),
    (
        "ladder",
        include_str!("../../../recipes/studies/ladder.json"),
    ),
    (
        "sensitivity",
        include_str!("../../../recipes/studies/sensitivity.json"),
    ),
    (
        "budget",
        include_str!("../../../recipes/studies/budget.json"),
    ),
];

impl Plan {
    /// One of ours, by its name, or a file.
    ///
    /// # Errors
    ///
    /// If there is neither, or the file is none of a study.
    pub fn read(name: &str) -> Result<Self> {
        let own = OURS.iter().find(|(own, _)| *own == name);
        let text = match own {
            Some((_, text)) => (*text).to_string(),
            None => std::fs::read_to_string(Path::new(name)).with_context(|| {
                let names: Vec<_> = OURS.iter().map(|(name, _)| *name).collect();
                format!("{name} is neither a file nor one of {}", names.join(", "))
            })?,
        };
        let plan: Self = serde_json::from_str(&text).with_context(|| name.to_string())?;
        plan.check().with_context(|| name.to_string())?;
        Ok(plan)
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.rows.is_empty(), "there is no row");
        ensure!(self.seeds > 0, "seeds is 0: at least 1 is needed");
        let columns = || self.columns.iter().map(|column| &column.name);
        for reference in std::iter::once(&self.baseline).chain(&self.control) {
            ensure!(
                columns().any(|name| name == reference),
                "`{reference}`, which others are to be compared with, is no column"
            );
        }
        for row in &self.rows {
            for name in row.published.keys() {
                ensure!(
                    columns().any(|column| column == name),
                    "row `{}` has a published number of `{name}`, which is no column",
                    row.name
                );
            }
        }
        Ok(())
    }

    /// Rows whose names hold any of some words; all, if there is no word.
    pub fn only(mut self, words: &[String]) -> Result<Self> {
        let wanted = |row: &Variant| {
            let name = row.name.to_lowercase();
            words.is_empty() || words.iter().any(|word| name.contains(&word.to_lowercase()))
        };
        self.rows.retain(wanted);
        ensure!(
            !self.rows.is_empty(),
            "--rows {}: no row is called so",
            words.join(",")
        );
        Ok(self)
    }

    /// Where the baseline stands.
    pub fn baseline(&self) -> usize {
        self.column(&self.baseline)
            .expect("the baseline is a column")
    }

    /// Where the column of a name stands.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Options of a row and a column; of an option that is there twice the last one counts.
    pub fn options(&self, row: usize, column: usize) -> Vec<String> {
        let parts = [
            &self.options,
            &self.rows[row].options,
            &self.columns[column].options,
            &self.with,
        ];
        let words = parts.into_iter().flat_map(|part| part.split_whitespace());
        words.map(str::to_string).collect()
    }

    /// Whether some run's options say which images it is of.
    pub fn names_images(&self) -> bool {
        let cells = self.cells();
        let mut words = cells.iter().flat_map(|cell| &cell.options);
        words.any(|word| word == "--dataset" || word.starts_with("--dataset="))
    }

    /// All runs, seed after seed, so that a study that is ended early has all of its table.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for seed in self.first_seed..self.first_seed + self.seeds {
            for row in 0..self.rows.len() {
                for column in 0..self.columns.len() {
                    let options = self.options(row, column);
                    cells.push(Cell {
                        row,
                        column,
                        seed,
                        options,
                    });
                }
            }
        }
        cells
    }
}
