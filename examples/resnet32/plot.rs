//! Accuracy and loss over epochs, as an SVG, which needs no fonts on this side.

use std::path::Path;

use anyhow::{Context, Result};
use plotters::prelude::*;

use crate::progress::EpochMetrics;

const TRAIN: RGBColor = RGBColor(86, 135, 190);
const TEST: RGBColor = RGBColor(204, 102, 51);

/// Two panels side by side: accuracy in percent, loss.
pub fn curves(path: &Path, history: &[EpochMetrics]) -> Result<()> {
    let mut svg = String::new();
    draw(&mut svg, history)
        .map_err(|error| anyhow::anyhow!("the curves cannot be drawn: {error}"))?;
    zosam::checkpoint::write_atomically(path, svg.as_bytes()).context("curves.svg")
}

type Curve = fn(&EpochMetrics) -> f64;

fn draw(svg: &mut String, history: &[EpochMetrics]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, (960, 380)).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(480);
    let accuracy: [Curve; 2] = [|m| 100.0 * m.train_accuracy, |m| 100.0 * m.test_accuracy];
    let loss: [Curve; 2] = [|m| m.train_loss, |m| m.test_loss];
    for (area, title, curves) in [(left, "accuracy (%)", accuracy), (right, "loss", loss)] {
        let values = || history.iter().flat_map(|m| curves.map(|curve| curve(m)));
        let finite = || values().filter(|value| value.is_finite());
        let (low, high) = (
            finite().fold(f64::MAX, f64::min),
            finite().fold(f64::MIN, f64::max),
        );
        if low > high {
            continue;
        }
        let margin = 0.06 * (high - low).max(0.1);
        let last = history.len() as f64;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(52)
            .build_cartesian_2d(0.8..(last + 0.2), (low - margin)..(high + margin))?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("epoch")
            .x_label_formatter(&|epoch| format!("{epoch:.0}"))
            .x_labels(history.len().clamp(1, 10))
            .draw()?;
        for (curve, name, colour) in [(curves[0], "train", TRAIN), (curves[1], "test", TEST)] {
            let points = history.iter().map(|m| ((m.epoch + 1) as f64, curve(m)));
            let points: Vec<_> = points.filter(|(_, y)| y.is_finite()).collect();
            chart
                .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
                });
            chart.draw_series(
                points
                    .into_iter()
                    .map(|point| Circle::new(point, 2, colour.filled())),
            )?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::MiddleRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
    }
    root.present()?;
    Ok(())
}
