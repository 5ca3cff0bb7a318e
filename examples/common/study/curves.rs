//! Losses over epochs: means over seeds, with bands from the lowest to the highest.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::plan::Plan;
use super::store::Finished;
use super::table::Found;
use crate::common::progress::EpochMetrics;

/// Okabe and Ito's colours, which the colour-blind tell apart.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 0, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(150, 140, 40),
];

type Of = fn(&EpochMetrics) -> Option<f64>;
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

const PANELS: [(&str, Of); 3] = [
    ("training loss", |epoch| Some(epoch.train_loss)),
    ("test loss", |epoch| epoch.test.map(|test| test.test_loss)),
    ("test accuracy, %", |epoch| {
        epoch.test.map(|test| 100.0 * test.test_accuracy)
    }),
];

/// A picture for every row that has runs of more than one epoch, by name.
///
/// # Errors
///
/// If drawing fails.
pub fn all(plan: &Plan, found: &Found) -> Result<Vec<(String, String)>> {
    let mut pictures = Vec::new();
    for (place, (row, cells)) in plan.rows.iter().zip(found).enumerate() {
        if !cells.iter().flatten().any(|run| run.history.len() > 1) {
            continue;
        }
        let names: Vec<&str> = plan
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let mut svg = String::new();
        paint(&mut svg, &row.name, &names, cells)
            .map_err(|error| anyhow!("the curves cannot be drawn: {error}"))?;
        pictures.push((format!("curves-{place}"), svg));
    }
    Ok(pictures)
}

fn paint(svg: &mut String, title: &str, names: &[&str], cells: &[Vec<&Finished>]) -> Drawn {
    let root = SVGBackend::with_string(svg, (1200, 400)).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 18))?;
    for (area, (name, of)) in root.split_evenly((1, PANELS.len())).iter().zip(PANELS) {
        panel(area, name, of, names, cells)?;
    }
    root.present()?;
    Ok(())
}

/// An epoch's values over seeds: lowest, mean, highest.
type Band = Vec<(f64, [f64; 3])>;

fn panel(
    area: &DrawingArea<SVGBackend, Shift>,
    title: &str,
    of: Of,
    names: &[&str],
    cells: &[Vec<&Finished>],
) -> Drawn {
    let bands: Vec<Band> = cells.iter().map(|runs| band(runs, of)).collect();
    let values = || bands.iter().flatten().flat_map(|(_, values)| *values);
    let low = values().fold(f64::MAX, f64::min);
    let high = values().fold(f64::MIN, f64::max);
    let last = bands
        .iter()
        .flatten()
        .map(|(epoch, _)| *epoch)
        .fold(1.0, f64::max);
    if low > high {
        return Ok(());
    }
    let margin = 0.05 * (high - low).max(1e-3);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(38)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..last, (low - margin)..(high + margin))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("epoch")
        .y_desc(title)
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 15))
        .draw()?;
    for ((band, name), colour) in bands.iter().zip(names).zip(COLOURS.iter().cycle()) {
        let upper = band.iter().map(|(epoch, [_, _, high])| (*epoch, *high));
        let lower = band.iter().rev().map(|(epoch, [low, _, _])| (*epoch, *low));
        let outline: Vec<_> = upper.chain(lower).collect();
        chart.draw_series([Polygon::new(outline, colour.mix(0.12).filled())])?;
        let mean = band.iter().map(|(epoch, [_, mean, _])| (*epoch, *mean));
        chart
            .draw_series(LineSeries::new(mean, colour.stroke_width(2)))?
            .label(*name)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    // One legend will do.
    if title == PANELS[0].0 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .label_font(("sans-serif", 13))
            .draw()?;
    }
    Ok(())
}

fn band(runs: &[&Finished], of: Of) -> Band {
    let epochs = runs.iter().map(|run| run.history.len()).max().unwrap_or(0);
    let mut band = Vec::new();
    for epoch in 0..epochs {
        let values = runs
            .iter()
            .filter_map(|run| run.history.get(epoch).and_then(of));
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        if values.is_empty() {
            continue;
        }
        let low = values.iter().copied().fold(f64::MAX, f64::min);
        let high = values.iter().copied().fold(f64::MIN, f64::max);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        band.push((epoch as f64 + 1.0, [low, mean, high]));
    }
    band
}
