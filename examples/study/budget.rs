//! What each perturbation makes of the same time.
//!
//! The cost of a step is measured first; then every variant gets the whole number of epochs that comes nearest to SGD's time, its schedules
//! of learning rate and masks scaled to it. So a run depends on the machine's speed by that number only.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use zosam::checkpoint::write_atomically;

use super::Setting;
use super::runs::Runs;
use super::spread::{deviation, mean};

const VARIANTS: [(&str, &str); 9] = [
    ("SGD", "--sharpness none"),
    ("random sign (control)", "--sharpness random-sign"),
    ("S²-SAM", "--sharpness s2sam"),
    ("LookSAM(5)", "--sharpness looksam"),
    (
        "LookSAM(5), α = 0.1",
        "--sharpness looksam --look-alpha 0.1",
    ),
    ("ZO-SAM, isotropic", "--sharpness zo-sam"),
    (
        "ZO-SAM, guided, forecast",
        "--sharpness zo-sam --direction guided --directions 0",
    ),
    (
        "ZO-SAM, guided, m = 3 on a sixth",
        "--sharpness zo-sam --direction guided --directions 3 --probe-fraction 0.167",
    ),
    ("SAM", "--sharpness sam"),
];

/// Makes the runs, seed after seed, and writes the table after each.
pub fn study(runs: &mut Runs, setting: &Setting, out: &Path) -> Result<()> {
    let short: Vec<_> = VARIANTS.map(|(_, options)| setting.short(options)).into();
    let costs = runs.costs(&short, setting.rounds)?;
    let epochs = |cost: f64| ((setting.epochs as f64 / cost).round() as usize).max(1);
    let mut found = vec![Vec::new(); VARIANTS.len()];
    for seed in 0..setting.seeds {
        for (((_, options), cost), found) in VARIANTS.iter().zip(&costs).zip(&mut found) {
            found.push(runs.run(setting.run(options, epochs(*cost), seed), 0)?);
        }
        let mut table = String::from(
            "| | cost of a step | epochs | test accuracy % | test loss | seconds | seeds |\n|---|---|---|---|---|---|---|\n",
        );
        for (((name, _), cost), found) in VARIANTS.iter().zip(&costs).zip(&found) {
            let of = |value: fn(&super::runs::Run) -> f64| -> Vec<f64> {
                found.iter().map(value).collect()
            };
            let (accuracy, loss) = (of(|run| 100.0 * run.test_accuracy), of(|run| run.test_loss));
            table += &format!(
                "| {name} | {cost:.2} | {} | {:.2} ± {:.2} | {:.3} ± {:.3} | {:.0} | {} |\n",
                epochs(*cost),
                mean(&accuracy),
                deviation(&accuracy),
                mean(&loss),
                deviation(&loss),
                mean(&of(|run| run.seconds)),
                found.len()
            );
        }
        write_atomically(&out.join("budget.md"), table.as_bytes())?;
        writeln!(std::io::stdout(), "{table}")?;
    }
    Ok(())
}
