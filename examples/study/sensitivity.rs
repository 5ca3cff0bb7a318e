//! ZO-SAM over m, δ and ρ.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use zosam::checkpoint::write_atomically;

use super::Setting;
use super::heat::{self, Panel};
use super::runs::{Run, Runs};
use super::spread::{deviation, mean};

const DIRECTIONS: [usize; 3] = [1, 4, 16];
/// Absolute distances of the probes, and the radius.
const DELTAS: [(&str, &str); 3] = [
    ("1e-4", "--delta 1e-4"),
    ("1e-3", "--delta 1e-3"),
    ("ρ", ""),
];
const RADII: [f64; 3] = [0.01, 0.05, 0.2];

/// Makes the runs, seed after seed, and writes table and heat map after each.
pub fn study(runs: &mut Runs, setting: &Setting, out: &Path) -> Result<()> {
    let sgd = "--sharpness none";
    let zo_sam = |m: usize, delta: &str| format!("--sharpness zo-sam --directions {m} {delta}");
    // The radius does not change what is computed.
    let mut short = vec![setting.short(sgd)];
    for m in DIRECTIONS {
        short.extend(DELTAS.map(|(_, delta)| setting.short(&zo_sam(m, delta))));
    }
    let costs = runs.costs(&short, setting.rounds)?;
    let mut cells = vec![("SGD".to_string(), sgd.to_string(), 1.0)];
    for (i, m) in DIRECTIONS.into_iter().enumerate() {
        for (j, (name, delta)) in DELTAS.into_iter().enumerate() {
            let cost = costs[1 + i * DELTAS.len() + j];
            cells.extend(RADII.map(|rho| {
                let options = format!(
                    "{} --rho {rho} --measure cosine --measure-every 10",
                    zo_sam(m, delta)
                );
                (format!("{m} | {name} | {rho}"), options, cost)
            }));
        }
    }
    let mut found = vec![Vec::new(); cells.len()];
    for seed in 0..setting.seeds {
        for ((_, options, _), found) in cells.iter().zip(&mut found) {
            found.push(runs.run(setting.run(options, setting.epochs, seed), 0)?);
        }
        let table = table(&cells, &found);
        write_atomically(&out.join("sensitivity.md"), table.as_bytes())?;
        let svg = picture(&found)?;
        write_atomically(&out.join("sensitivity.svg"), svg.as_bytes())?;
        writeln!(std::io::stdout(), "{table}")?;
    }
    Ok(())
}

fn table(cells: &[(String, String, f64)], found: &[Vec<Run>]) -> String {
    let mut table = String::from(
        "| m | δ | ρ | test accuracy % | cos(ε, ∇L) | cost of a step | seeds |\n|---|---|---|---|---|---|---|\n",
    );
    for ((name, _, cost), found) in cells.iter().zip(found) {
        let name = match name.as_str() {
            "SGD" => "SGD | – | –",
            name => name,
        };
        let cosines: Vec<f64> = found.iter().filter_map(|run| run.cosine).collect();
        let cosine = match cosines.is_empty() {
            true => "–".to_string(),
            false => format!("{:.4}", mean(&cosines)),
        };
        let accuracies = accuracies(found);
        table += &format!(
            "| {name} | {:.2} ± {:.2} | {cosine} | {cost:.2} | {} |\n",
            mean(&accuracies),
            deviation(&accuracies),
            found.len()
        );
    }
    table
}

/// One panel for each number of directions: radii to the right, distances of probes upwards, accuracy minus SGD's.
fn picture(found: &[Vec<Run>]) -> Result<String> {
    let (sgd, cells) = found.split_first().expect("SGD comes first");
    let sgd = mean(&accuracies(sgd));
    let panels = DIRECTIONS
        .into_iter()
        .zip(cells.chunks(DELTAS.len() * RADII.len()));
    let panels: Vec<Panel> = panels
        .map(|(m, cells)| Panel {
            title: format!("m = {m}"),
            rows: cells
                .chunks(RADII.len())
                .map(|row| {
                    row.iter()
                        .map(|cell| mean(&accuracies(cell)) - sgd)
                        .collect()
                })
                .collect(),
        })
        .collect();
    heat::draw(
        "Test accuracy minus SGD's, in points",
        &panels,
        ("ρ", &RADII.map(|rho| rho.to_string())),
        ("δ", &DELTAS.map(|(name, _)| name.to_string())),
    )
}

fn accuracies(runs: &[Run]) -> Vec<f64> {
    runs.iter().map(|run| 100.0 * run.test_accuracy).collect()
}
