//! The sharpness card: a column for each model, axes and levels shared by all.

use anyhow::{Result, anyhow};
use contour::ContourBuilder;
use plotters::coord::Shift;
use plotters::prelude::*;

use super::Portrait;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// Okabe and Ito's colours, which the colour-blind tell apart.
const ORANGE: RGBColor = RGBColor(213, 94, 0);
const BLUE: RGBColor = RGBColor(0, 114, 178);
const GREY: RGBColor = RGBColor(110, 110, 110);

const LEVELS: usize = 14;
const COLUMN: u32 = 330;
const HEIGHTS: [u32; 4] = [340, 210, 220, 250];
const TEXT: (&str, u32) = ("sans-serif", 15);
const SMALL: (&str, u32) = ("sans-serif", 13);

/// Draws models side by side: landscape, slice, spectrum, rises.
///
/// # Errors
///
/// If drawing fails.
pub fn draw(portraits: &[Portrait]) -> Result<String> {
    let mut svg = String::new();
    paint(&mut svg, portraits).map_err(|error| anyhow!("the card cannot be drawn: {error}"))?;
    Ok(svg)
}

fn paint(svg: &mut String, portraits: &[Portrait]) -> Drawn {
    let width = COLUMN * portraits.len() as u32;
    let size = (width, HEIGHTS.iter().sum());
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let shared = Shared::of(portraits);
    for (portrait, column) in portraits
        .iter()
        .zip(root.split_evenly((1, portraits.len())))
    {
        let (plane, rest) = column.split_vertically(HEIGHTS[0]);
        let (slice, rest) = rest.split_vertically(HEIGHTS[1]);
        let (spectrum, rises) = rest.split_vertically(HEIGHTS[2]);
        shared.plane(&plane, portrait)?;
        shared.slice(&slice, portrait)?;
        shared.spectrum(&spectrum, portrait)?;
        shared.rises(&rises, portrait)?;
    }
    root.present()?;
    Ok(())
}

/// What all columns have in common.
struct Shared {
    /// Losses of the contours, ascending.
    levels: Vec<f64>,
    /// Half the width of the planes, in units of ρ.
    reach: f64,
    /// Largest loss along the first direction.
    slice: f64,
    eigenvalues: (f64, f64),
    /// Largest rise.
    rise: f64,
}

impl Shared {
    fn of(portraits: &[Portrait]) -> Self {
        let losses = || {
            portraits
                .iter()
                .flat_map(|one| one.landscape.loss.iter().flatten())
        };
        let loss = range(losses().copied());
        let floor = loss.0.max(1e-4 * loss.1).max(1e-9);
        let ratio = (loss.1 / floor).max(1.0 + 1e-9);
        let level = |i: usize| floor * ratio.powf((i as f64 + 1.0) / (LEVELS as f64 + 1.0));
        let eigenvalues = portraits
            .iter()
            .flat_map(|one| [one.spectrum.smallest.value, one.spectrum.largest.value]);
        let rises = portraits.iter().flat_map(|one| {
            let rises = &one.rises;
            [&rises.gradient, &rises.measured_sign, &rises.random_sign]
                .into_iter()
                .flatten()
        });
        Self {
            levels: (0..LEVELS).map(level).collect(),
            reach: portraits.iter().map(reach).fold(0.0, f64::max),
            slice: range(portraits.iter().flat_map(middle).copied()).1,
            eigenvalues: range(eigenvalues),
            rise: range(rises.copied()).1.max(1e-9),
        }
    }

    /// Contours, each level in a colour; a circle at ρ.
    fn plane(&self, area: &Area, portrait: &Portrait) -> Drawn {
        let title = match portrait.test_accuracy {
            Some(accuracy) => format!("{}: test {:.1} %", portrait.name, 100.0 * accuracy),
            None => portrait.name.clone(),
        };
        let area = area.titled(&title, ("sans-serif", 18))?;
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .x_label_area_size(38)
            .y_label_area_size(52)
            .build_cartesian_2d(-self.reach..self.reach, -self.reach..self.reach)?;
        let landscape = &portrait.landscape;
        let points = landscape.axis.len();
        // The crate calls a place inside what is above a level; a bowl is inside what is below it.
        let below: Vec<f64> = landscape.loss.iter().flatten().map(|loss| -loss).collect();
        let levels: Vec<f64> = self.levels.iter().rev().map(|level| -level).collect();
        let half = [0, 1]
            .map(|side| landscape.axis[points - 1] * landscape.lengths[side] / portrait.args.rho);
        // The value of index i is at i + ½.
        let place = |at: f64, side: usize| {
            half[side] * (2.0 * (at - 0.5) / (points - 1) as f64 - 1.0).clamp(-1.0, 1.0)
        };
        let corner = |x: f64, y: f64| (place(x, 0), place(y, 1));
        let whole = [(-half[0], -half[1]), (half[0], half[1])];
        chart.draw_series([Rectangle::new(whole, colour(LEVELS).filled())])?;
        let contours = ContourBuilder::new(points, points, true).contours(&below, &levels)?;
        for (passed, contour) in contours.iter().enumerate() {
            let level = LEVELS - 1 - passed;
            for polygon in contour.geometry() {
                let outside = polygon.exterior().coords();
                let outside: Vec<_> = outside.map(|at| corner(at.x, at.y)).collect();
                chart.draw_series([Polygon::new(outside, colour(level).filled())])?;
                for hole in polygon.interiors() {
                    let hole: Vec<_> = hole.coords().map(|at| corner(at.x, at.y)).collect();
                    chart.draw_series([Polygon::new(hole, colour(level + 1).filled())])?;
                }
            }
        }
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(5)
            .y_labels(5)
            .x_label_formatter(&whole_number)
            .y_label_formatter(&whole_number)
            .x_desc(format!("along a, in units of ρ = {}", portrait.args.rho))
            .y_desc("along b")
            .label_style(SMALL)
            .axis_desc_style(TEXT)
            .draw()?;
        let circle = (0..=64).map(|i| {
            let angle = std::f64::consts::TAU * f64::from(i) / 64.0;
            (angle.cos(), angle.sin())
        });
        chart.draw_series(LineSeries::new(circle, WHITE.stroke_width(2)))?;
        Ok(())
    }

    /// Loss and wrong answers along the first direction.
    fn slice(&self, area: &Area, portrait: &Portrait) -> Drawn {
        let landscape = &portrait.landscape;
        let units = landscape.lengths[0] / portrait.args.rho;
        let axis = || landscape.axis.iter().map(|x| x * units);
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(38)
            .y_label_area_size(52)
            .right_y_label_area_size(56)
            .build_cartesian_2d(-self.reach..self.reach, 0.0..1.05 * self.slice)?
            .set_secondary_coord(-self.reach..self.reach, 0.0..105.0);
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_labels(5)
            .y_labels(5)
            .x_label_formatter(&whole_number)
            .x_desc("along a, in units of ρ")
            .y_desc("loss")
            .label_style(SMALL)
            .axis_desc_style(TEXT)
            .draw()?;
        chart
            .configure_secondary_axes()
            .y_labels(5)
            .y_label_formatter(&whole_number)
            .y_desc("wrong, %")
            .label_style(SMALL)
            .axis_desc_style(TEXT)
            .draw()?;
        let loss = axis().zip(middle(portrait).iter().copied());
        chart
            .draw_series(LineSeries::new(loss, BLUE.stroke_width(2)))?
            .label("loss")
            .legend(|at| line(at, BLUE));
        let wrong = axis().zip(portrait.wrong.iter().map(|share| 100.0 * share));
        chart
            .draw_secondary_series(DashedLineSeries::new(wrong, 5, 4, ORANGE.stroke_width(2)))?
            .label("wrong")
            .legend(|at| line(at, ORANGE));
        legend(
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperMiddle),
        )
    }

    /// The density of eigenvalues, with the band of the probes.
    fn spectrum(&self, area: &Area, portrait: &Portrait) -> Drawn {
        let (low, high) = self.eigenvalues;
        let width = 0.01 * (high - low).max(1e-9);
        let (low, high) = (low - 5.0 * width, high + 5.0 * width);
        let points: Vec<f64> = (0..=200)
            .map(|i| low + (high - low) * f64::from(i) / 200.0)
            .collect();
        let probes = portrait.spectrum.density.at(&points, width);
        // A single eigenvalue of the live weights stands far above this.
        let floor = 0.05 / (portrait.spectrum.weights as f64 * (high - low));
        let of = |place: usize| probes.iter().map(move |probe| probe[place].max(floor));
        let top = 2.0 / (width * std::f64::consts::TAU.sqrt());
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(38)
            .y_label_area_size(52)
            .build_cartesian_2d(low..high, (floor..top).log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_labels(5)
            .x_label_formatter(&|value| format!("{value:.1}"))
            .x_desc("eigenvalue of the Hessian")
            .y_desc("density")
            .y_labels(5)
            .y_label_formatter(&|density| format!("{density:.0e}"))
            .label_style(SMALL)
            .axis_desc_style(TEXT)
            .draw()?;
        let lowest = |place| of(place).fold(f64::MAX, f64::min);
        let highest = |place| of(place).fold(0.0, f64::max);
        let band = (0..points.len()).map(|i| (points[i], highest(i)));
        let back = (0..points.len()).rev().map(|i| (points[i], lowest(i)));
        let band = Polygon::new(
            band.chain(back).collect::<Vec<_>>(),
            BLUE.mix(0.25).filled(),
        );
        chart.draw_series([band])?;
        let count = probes.len() as f64;
        let mean = (0..points.len()).map(|i| (points[i], of(i).sum::<f64>() / count));
        chart.draw_series(LineSeries::new(mean, BLUE.stroke_width(2)))?;
        let largest = portrait.spectrum.largest.value;
        let trace = portrait.spectrum.trace.mean;
        let text = format!("λ max {largest:.2}, trace {trace:.0}");
        let (x, _) = chart.plotting_area().dim_in_pixel();
        let place = chart.plotting_area().get_base_pixel();
        let at = (place.0 + x as i32 - 180, place.1 + 6);
        area.draw_text(&text, &TEXT.into_text_style(area), relative(area, at))?;
        Ok(())
    }

    /// How far the loss rises along the perturbations of three methods.
    fn rises(&self, area: &Area, portrait: &Portrait) -> Drawn {
        let rises = &portrait.rises;
        let rho = portrait.args.rho;
        let radii = || rises.radii.iter().map(|radius| radius / rho);
        let (first, last) = range(radii());
        let floor = 1e-5 * self.rise;
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(38)
            .y_label_area_size(52)
            .build_cartesian_2d(
                (first..last).log_scale(),
                // The legend has its place below the curves.
                (0.02 * floor..1.5 * self.rise).log_scale(),
            )?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("distance from θ, in units of ρ")
            .y_desc("rise of the loss")
            .x_labels(6)
            .y_labels(6)
            .y_label_formatter(&|rise| format!("{rise:.0e}"))
            .label_style(SMALL)
            .axis_desc_style(TEXT)
            .draw()?;
        let curves = [
            ("along g (SAM)", &rises.gradient, ORANGE),
            ("±u, sign measured (ZO-SAM)", &rises.measured_sign, BLUE),
            ("±u, a coin's sign", &rises.random_sign, GREY),
        ];
        for (name, rise, colour) in curves {
            let points = radii().zip(rise.iter().copied());
            let points: Vec<_> = points.filter(|(_, rise)| *rise > floor).collect();
            let marks = points.iter().map(|at| Circle::new(*at, 3, colour.filled()));
            chart.draw_series(marks)?;
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                .label(name)
                .legend(move |at| line(at, colour));
        }
        legend(
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::LowerRight),
        )
    }
}

fn legend<'a, 'b>(
    labels: &mut plotters::chart::SeriesLabelStyle<'a, 'b, SVGBackend<'a>, impl CoordTranslate>,
) -> Drawn {
    labels
        .background_style(WHITE.mix(0.85))
        .label_font(SMALL)
        .draw()?;
    Ok(())
}

fn line((x, y): (i32, i32), colour: RGBColor) -> PathElement<(i32, i32)> {
    PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
}

/// Losses along the first direction.
fn middle(portrait: &Portrait) -> &[f64] {
    &portrait.landscape.loss[portrait.landscape.axis.len() / 2]
}

/// Half the width of a plane, in units of ρ.
fn reach(portrait: &Portrait) -> f64 {
    let landscape = &portrait.landscape;
    let longest = landscape.lengths[0].max(landscape.lengths[1]);
    landscape
        .axis
        .last()
        .map_or(1.0, |end| end * longest / portrait.args.rho)
}

fn whole_number(value: &f64) -> String {
    // No "-0".
    format!("{:.0}", value + 0.0)
}

fn colour(level: usize) -> RGBColor {
    ViridisRGB::get_color(level as f64 / LEVELS as f64)
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    finite.fold((f64::MAX, f64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// A place of the whole picture, as an area counts it.
fn relative(area: &Area, (x, y): (i32, i32)) -> (i32, i32) {
    let (left, top) = area.get_base_pixel();
    (x - left, y - top)
}
