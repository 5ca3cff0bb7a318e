//! What came out, as tables and sentences.

use std::collections::BTreeSet;

use super::plan::Plan;
use super::spread::{deviation, mean};
use super::statistics::Difference;
use super::store::Finished;

/// Finished runs by row, column and seed.
pub type Found<'a> = [Vec<Vec<&'a Finished>>];

/// A number of every row and column.
pub struct Table {
    pub title: String,
    pub header: Vec<String>,
    pub rows: Vec<Vec<Entry>>,
}

/// What stands in a place of a table.
#[derive(Default)]
pub struct Entry {
    pub text: String,
    pub value: Option<f64>,
    /// How much better it is than the row's baseline: −1 to 1, as a share of the table's largest difference.
    pub better: f64,
}

/// A number that runs end with.
struct Measure {
    title: &'static str,
    of: fn(&Finished) -> f64,
    digits: usize,
    /// Whether more of it is better: 1, −1, or 0 for neither.
    sign: f64,
}

const ACCURACY: &str = "Test accuracy, %";

const MEASURES: [Measure; 5] = [
    Measure {
        title: ACCURACY,
        of: |run| run.test().0,
        digits: 2,
        sign: 1.0,
    },
    Measure {
        title: "Test loss",
        of: |run| run.test().1,
        digits: 3,
        sign: -1.0,
    },
    Measure {
        title: "Training loss of the last epoch",
        of: Finished::train_loss,
        digits: 3,
        sign: 0.0,
    },
    Measure {
        title: "Epochs to 95 % of the run's best test accuracy",
        of: Finished::soon,
        digits: 1,
        sign: 0.0,
    },
    Measure {
        title: "Seconds of training",
        of: Finished::seconds,
        digits: 0,
        sign: 0.0,
    },
];

/// All tables of a study.
pub fn all(plan: &Plan, found: &Found) -> Vec<Table> {
    let known = MEASURES.iter().map(|measure| measure.table(plan, found));
    known.chain(measured(plan, found)).collect()
}

/// Means over epochs of what `--measure` asked for.
fn measured(plan: &Plan, found: &Found) -> Vec<Table> {
    let runs = || found.iter().flatten().flatten();
    let names = runs().flat_map(|run| run.history.iter().flat_map(|epoch| epoch.measured.keys()));
    let names: BTreeSet<&String> = names.collect();
    let table = |name: &&String| {
        let of = |run: &Finished| {
            let values = run
                .history
                .iter()
                .filter_map(|epoch| epoch.measured.get(*name).copied());
            let values: Vec<f64> = values.collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        tabled(plan, found, &format!("{name}, mean over epochs"), 4, &of)
    };
    names.iter().map(table).collect()
}

/// A table of one number.
fn tabled(
    plan: &Plan,
    found: &Found,
    title: &str,
    digits: usize,
    of: &dyn Fn(&Finished) -> f64,
) -> Table {
    let columns = plan.columns.iter().map(|column| column.name.clone());
    let mut rows = Vec::new();
    for (row, cells) in plan.rows.iter().zip(found) {
        let name = Entry {
            text: row.name.clone(),
            ..Entry::default()
        };
        let published = |column: &str| {
            let of = row.published.get(column).filter(|_| title == ACCURACY);
            of.map_or(String::new(), |value| format!("{value:.2} → "))
        };
        let cells = plan.columns.iter().zip(cells);
        let cells = cells.map(|(column, runs)| {
            let values: Vec<f64> = runs
                .iter()
                .map(|run| of(run))
                .filter(|value| value.is_finite())
                .collect();
            let missing = if runs.is_empty() { "not run" } else { "–" };
            entry(&published(&column.name), &values, digits, missing)
        });
        rows.push(std::iter::once(name).chain(cells).collect());
    }
    Table {
        title: format!("{title} (mean ± standard deviation, number of seeds)"),
        header: std::iter::once(String::new()).chain(columns).collect(),
        rows,
    }
}

fn entry(published: &str, values: &[f64], digits: usize, missing: &str) -> Entry {
    if values.is_empty() {
        let text = format!("{published}{missing}");
        return Entry {
            text,
            ..Entry::default()
        };
    }
    let (mean, deviation, count) = (mean(values), deviation(values), values.len());
    let text = match count {
        1 => format!("{published}{mean:.digits$} (1)"),
        _ => format!("{published}{mean:.digits$} ± {deviation:.digits$} ({count})"),
    };
    Entry {
        text,
        value: Some(mean),
        better: 0.0,
    }
}

impl Measure {
    fn table(&self, plan: &Plan, found: &Found) -> Table {
        let mut table = tabled(plan, found, self.title, self.digits, &self.of);
        self.tint(plan, &mut table.rows);
        table
    }

    fn tint(&self, plan: &Plan, rows: &mut [Vec<Entry>]) {
        let mut largest = 0.0_f64;
        for row in rows.iter_mut() {
            let Some(baseline) = row[plan.baseline() + 1].value else {
                continue;
            };
            for entry in row.iter_mut() {
                entry.better = entry
                    .value
                    .map_or(0.0, |value| self.sign * (value - baseline));
                largest = largest.max(entry.better.abs());
            }
        }
        let entries = rows.iter_mut().flatten();
        entries.for_each(|entry| entry.better /= largest.max(1e-9));
    }
}

/// A plain sentence for every comparison of a column with the baseline, and with the control if there is one: pairs
/// are the runs of the same row and seed.
pub fn sentences(plan: &Plan, found: &Found) -> Vec<String> {
    let mut sentences = Vec::new();
    let control = plan.control.as_ref().and_then(|name| plan.column(name));
    for reference in [Some(plan.baseline()), control].into_iter().flatten() {
        for column in 0..plan.columns.len() {
            // The control is compared with the baseline there.
            if column == reference || (Some(reference) == control && column == plan.baseline()) {
                continue;
            }
            for measure in &MEASURES[..2] {
                let pairs = pairs(found, column, reference, measure.of);
                let Some(difference) = Difference::of(&pairs) else {
                    continue;
                };
                let what = measure.title.to_lowercase();
                let [name, of] = [column, reference].map(|column| &plan.columns[column].name);
                sentences.push(difference.sentence(&what, name, of, measure.digits));
            }
        }
    }
    if sentences.len() > 1 {
        let chance = 0.05 * sentences.len() as f64;
        sentences.push(format!(
            "These are {} comparisons; at p < 0.05 about {chance:.1} of them would look different by chance.",
            sentences.len()
        ));
    }
    sentences
}

/// Differences of two columns in the same row and seed.
fn pairs(found: &Found, column: usize, reference: usize, of: fn(&Finished) -> f64) -> Vec<f64> {
    let in_row = |row: &Vec<Vec<&Finished>>| -> Vec<f64> {
        let others = &row[reference];
        let pair = |run: &&Finished| {
            let other = others.iter().find(|other| other.seed == run.seed)?;
            Some(of(run) - of(other))
        };
        row[column].iter().filter_map(pair).collect()
    };
    found.iter().flat_map(in_row).collect()
}

/// The report as Markdown.
pub fn markdown(plan: &Plan, tables: &[Table], sentences: &[String]) -> String {
    let mut text = format!(
        "# {}\n\n{}\n\nOptions of all runs: `{}`\n",
        plan.title, plan.question, plan.options
    );
    for assumed in &plan.assumed {
        text += &format!("\n- assumed: {assumed}");
    }
    for table in tables {
        text += &format!(
            "\n\n## {}\n\n| {} |\n|{}\n",
            table.title,
            table.header.join(" | "),
            "---|".repeat(table.header.len())
        );
        for row in &table.rows {
            let cells: Vec<&str> = row.iter().map(|entry| entry.text.as_str()).collect();
            text += &format!("| {} |\n", cells.join(" | "));
        }
    }
    text += "\n## Comparisons\n\n";
    for sentence in sentences {
        text += &format!("- {sentence}\n");
    }
    text
}
