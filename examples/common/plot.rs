//! Accuracy and loss over epochs, as an SVG, which needs no fonts on this side.

use std::path::Path;

use anyhow::{Context, Result};
use plotters::prelude::*;

use zosam::sparse::{LayerReport, SparsityReport};

use super::progress::EpochMetrics;

const TRAIN: RGBColor = RGBColor(86, 135, 190);
const EVER: RGBColor = RGBColor(200, 214, 232);
const TEST: RGBColor = RGBColor(204, 102, 51);

/// Panels side by side: accuracy in percent, loss, and the gradient's variance where `--measure noise` was asked for.
pub fn curves(path: &Path, history: &[EpochMetrics]) -> Result<()> {
    let mut svg = String::new();
    draw(&mut svg, history)
        .map_err(|error| anyhow::anyhow!("the curves cannot be drawn: {error}"))?;
    zosam::checkpoint::write_atomically(path, svg.as_bytes()).context("curves.svg")
}

/// Live weights of each layer, on what was ever live, on all of its places.
pub fn densities(path: &Path, report: &SparsityReport) -> Result<()> {
    let mut svg = String::new();
    draw_densities(&mut svg, report)
        .map_err(|error| anyhow::anyhow!("the densities cannot be drawn: {error}"))?;
    zosam::checkpoint::write_atomically(path, svg.as_bytes()).context("density.svg")
}

fn draw_densities(
    svg: &mut String,
    report: &SparsityReport,
) -> Result<(), Box<dyn std::error::Error>> {
    let layers = report.layers.len();
    let height = 70 + 18 * layers as u32;
    let root = SVGBackend::with_string(svg, (720, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let share = |count: usize, layer: usize| count as f64 / report.layers[layer].total as f64;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            format!("{}: density of each layer", report.method),
            ("sans-serif", 16),
        )
        .margin(10)
        .x_label_area_size(24)
        .y_label_area_size(190)
        .build_cartesian_2d(0.0..1.0, (0..layers.saturating_sub(1)).into_segmented())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(WHITE)
        .y_labels(layers)
        .y_label_formatter(&|place| match place {
            SegmentValue::CenterOf(i) | SegmentValue::Exact(i) => {
                let layer = layers.checked_sub(i + 1).and_then(|i| report.layers.get(i));
                layer.map_or(String::new(), |layer| layer.name.clone())
            }
            SegmentValue::Last => String::new(),
        })
        .draw()?;
    // The first layer on top.
    let bar = |layer: usize, value: f64, style: ShapeStyle, margin: u32| {
        let place = layers - 1 - layer;
        // The axis has no place behind the last layer's.
        let end = match layer {
            0 => SegmentValue::Last,
            _ => SegmentValue::Exact(place + 1),
        };
        let corners = [(0.0, SegmentValue::Exact(place)), (value, end)];
        let mut bar = Rectangle::new(corners, style);
        bar.set_margin(margin, margin, 0, 0);
        bar
    };
    let series: [(&str, Count, RGBColor, u32); 2] = [
        ("ever live", |layer| layer.ever_live, EVER, 2),
        ("live", |layer| layer.live, TRAIN, 4),
    ];
    for (name, count, colour, margin) in series {
        let bars = report.layers.iter().enumerate();
        let bars = bars.map(|(i, layer)| bar(i, share(count(layer), i), colour.filled(), margin));
        chart
            .draw_series(bars)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    root.present()?;
    Ok(())
}

type Count = fn(&LayerReport) -> usize;

/// A curve's name, colour and value after an epoch.
type Curve = (&'static str, RGBColor, fn(&EpochMetrics) -> f64);

/// Title and curves of each panel: accuracy, loss, and the gradient's variance over batches where it was measured.
fn panels(history: &[EpochMetrics]) -> Vec<(&'static str, Vec<Curve>)> {
    let accuracy: [Curve; 2] = [
        ("train", TRAIN, |m| 100.0 * m.train_accuracy),
        ("test", TEST, |m| {
            m.test.map_or(f64::NAN, |test| 100.0 * test.test_accuracy)
        }),
    ];
    let loss: [Curve; 2] = [
        ("train", TRAIN, |m| m.train_loss),
        ("test", TEST, |m| {
            m.test.map_or(f64::NAN, |test| test.test_loss)
        }),
    ];
    let variance: Curve = ("variance / norm²", TRAIN, |m| {
        let measured = |name| m.measured.get(name).copied().unwrap_or(f64::NAN);
        measured("gradient_variance") / measured("gradient_norm").powi(2)
    });
    let mut panels = vec![("accuracy (%)", accuracy.into()), ("loss", loss.into())];
    if history.iter().any(|m| variance.2(m).is_finite()) {
        panels.push(("gradient over batches", vec![variance]));
    }
    panels
}

fn draw(svg: &mut String, history: &[EpochMetrics]) -> Result<(), Box<dyn std::error::Error>> {
    let panels = panels(history);
    let size = (480 * panels.len() as u32, 380);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((1, panels.len()));
    for (area, (title, curves)) in areas.iter().zip(panels) {
        let values = || {
            history
                .iter()
                .flat_map(|m| curves.iter().map(|curve| curve.2(m)))
        };
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
        let mut chart = ChartBuilder::on(area)
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
        for (name, colour, value) in curves {
            let points = history.iter().map(|m| ((m.epoch + 1) as f64, value(m)));
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
