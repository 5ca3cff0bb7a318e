//! Draws the schedules of mask changes: `cargo run --example schedules -- FILE.svg`.

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;
use zosam::GradualMagnitude;
use zosam::sparse::{Decay, UpdateSchedule};

const STEPS: u64 = 1000;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("name the file to write")?;
    let mut svg = String::new();
    draw(&mut svg).map_err(|error| anyhow!("the schedules cannot be drawn: {error}"))?;
    std::fs::write(&path, svg).with_context(|| path.clone())?;
    println!("wrote {path}");
    Ok(())
}

fn draw(svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, (960, 340)).into_drawing_area();
    root.fill(&WHITE)?;
    let (left, right) = root.split_horizontally(480);

    let schedule = |decay| {
        UpdateSchedule::every(50)
            .until(3 * STEPS / 4)
            .with_decay(decay)
    };
    let floor = UpdateSchedule::every(50)
        .until(3 * STEPS / 4)
        .with_last_fraction(0.05);
    let exchanged = [
        ("constant", schedule(Decay::Constant)),
        ("linear", schedule(Decay::Linear)),
        ("cosine", schedule(Decay::Cosine)),
        ("cosine to 0.05", floor),
        ("cubic", schedule(Decay::Cubic)),
    ];
    let curves = exchanged.map(|(name, schedule)| {
        let due = (0..STEPS).filter(|step| schedule.is_due(*step));
        let points = due.map(|step| (step as f64 / STEPS as f64, schedule.fraction_at(step)));
        (name, points.collect::<Vec<_>>())
    });
    panel(&left, "share of live weights exchanged", 0.5, &curves, true)?;

    let gmp = GradualMagnitude::new(0.9)
        .between(0..=3 * STEPS / 4)
        .every(50);
    let points = (0..STEPS).map(|step| {
        let before = gmp.sparsity_at(step / 50 * 50);
        (step as f64 / STEPS as f64, before)
    });
    let curves = [("gradual pruning to 0.9", points.collect::<Vec<_>>())];
    panel(&right, "sparsity", 1.0, &curves, false)?;
    root.present()?;
    Ok(())
}

type Curve = (&'static str, Vec<(f64, f64)>);

fn panel(
    area: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    title: &str,
    top: f64,
    curves: &[Curve],
    dots: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..1.0, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("share of training")
        .draw()?;
    for (number, (name, points)) in curves.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        chart
            .draw_series(LineSeries::new(
                points.iter().copied(),
                colour.stroke_width(2),
            ))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        if dots {
            let dots = points
                .iter()
                .map(|point| Circle::new(*point, 3, colour.filled()));
            chart.draw_series(dots)?;
        }
    }
    chart
        .configure_series_labels()
        .position(match dots {
            true => SeriesLabelPosition::UpperRight,
            false => SeriesLabelPosition::LowerRight,
        })
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
