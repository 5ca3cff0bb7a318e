//! Heat maps side by side, as an SVG: blue is below zero, orange above, one scale for all.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

const BELOW: RGBColor = RGBColor(86, 135, 190);
const ABOVE: RGBColor = RGBColor(204, 102, 51);

/// One map.
pub struct Panel {
    pub title: String,
    /// From bottom to top.
    pub rows: Vec<Vec<f64>>,
}

/// Draws panels under a title; their columns and rows have a common name and labels each.
///
/// # Errors
///
/// If drawing fails.
pub fn draw(
    title: &str,
    panels: &[Panel],
    columns: (&str, &[String]),
    rows: (&str, &[String]),
) -> Result<String> {
    let mut svg = String::new();
    paint(&mut svg, title, panels, columns, rows)
        .map_err(|error| anyhow!("the heat map cannot be drawn: {error}"))?;
    Ok(svg)
}

fn paint(
    svg: &mut String,
    title: &str,
    panels: &[Panel],
    columns: (&str, &[String]),
    rows: (&str, &[String]),
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, (300 * panels.len() as u32, 320)).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 17))?;
    let values = panels.iter().flat_map(|panel| panel.rows.iter().flatten());
    let largest = values.fold(1e-9_f64, |largest, value| largest.max(value.abs()));
    for (panel, area) in panels.iter().zip(root.split_evenly((1, panels.len()))) {
        let (width, height) = (columns.1.len(), rows.1.len());
        let mut chart = ChartBuilder::on(&area)
            .caption(&panel.title, ("sans-serif", 16))
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(52)
            .build_cartesian_2d(
                (0..width - 1).into_segmented(),
                (0..height - 1).into_segmented(),
            )?;
        let named = |labels: &[String], place: &SegmentValue<usize>| match place {
            SegmentValue::CenterOf(i) => labels.get(*i).cloned().unwrap_or_default(),
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .disable_mesh()
            .x_desc(columns.0)
            .y_desc(rows.0)
            .x_label_formatter(&|place| named(columns.1, place))
            .y_label_formatter(&|place| named(rows.1, place))
            .draw()?;
        let cells = panel.rows.iter().enumerate().flat_map(|(y, row)| {
            let cells = row.iter().enumerate();
            cells.map(move |(x, value)| (x, y, *value))
        });
        let cells: Vec<_> = cells.collect();
        chart.draw_series(cells.iter().map(|&(x, y, value)| {
            let colour = if value < 0.0 { BELOW } else { ABOVE };
            let shade = colour.mix(value.abs() / largest).filled();
            let low = (SegmentValue::Exact(x), SegmentValue::Exact(y));
            Rectangle::new([low, (end(x, width), end(y, height))], shade)
        }))?;
        let style =
            ("sans-serif", 13)
                .into_text_style(&area)
                .pos(plotters::style::text_anchor::Pos::new(
                    plotters::style::text_anchor::HPos::Center,
                    plotters::style::text_anchor::VPos::Center,
                ));
        chart.draw_series(cells.iter().map(|&(x, y, value)| {
            let place = (SegmentValue::CenterOf(x), SegmentValue::CenterOf(y));
            // No "-0.0".
            let value = (10.0 * value).round() / 10.0 + 0.0;
            Text::new(format!("{value:+.1}"), place, style.clone())
        }))?;
    }
    root.present()?;
    Ok(())
}

/// Where a cell ends; the axis has no place behind the last.
fn end(index: usize, count: usize) -> SegmentValue<usize> {
    match index + 1 < count {
        true => SegmentValue::Exact(index + 1),
        false => SegmentValue::Last,
    }
}
