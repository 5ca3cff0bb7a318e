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

/// Draws panels whose columns and rows have a common name and labels each.
///
/// # Errors
///
/// If drawing fails.
pub fn draw(
    panels: &[Panel],
    columns: (&str, &[String]),
    rows: (&str, &[String]),
) -> Result<String> {
    let mut svg = String::new();
    paint(&mut svg, panels, columns, rows)
        .map_err(|error| anyhow!("the heat map cannot be drawn: {error}"))?;
    Ok(svg)
}

fn paint(
    svg: &mut String,
    panels: &[Panel],
    columns: (&str, &[String]),
    rows: (&str, &[String]),
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, (300 * panels.len() as u32, 290)).into_drawing_area();
    root.fill(&WHITE)?;
    let values = panels.iter().flat_map(|panel| panel.rows.iter().flatten());
    let largest = values.fold(1e-9_f64, |largest, value| largest.max(value.abs()));
    for (panel, area) in panels.iter().zip(root.split_evenly((1, panels.len()))) {
        let (width, height) = (columns.1.len(), rows.1.len());
        let mut chart = ChartBuilder::on(&area)
            .caption(&panel.title, ("sans-serif", 16))
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(52)
            .build_cartesian_2d((0..width).into_segmented(), (0..height).into_segmented())?;
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
            let high = (SegmentValue::Exact(x + 1), SegmentValue::Exact(y + 1));
            Rectangle::new([low, high], shade)
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
            Text::new(format!("{value:+.1}"), place, style.clone())
        }))?;
    }
    root.present()?;
    Ok(())
}
