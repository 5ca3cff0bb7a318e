//! Feature maps as a picture: a row for each model, a column for each layer, one scale for each column.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::features::Seen;

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// A layer's path, and the mean over its channels by row.
type Grid = (String, Vec<Vec<f64>>);

const SIDE: u32 = 260;

/// Draws the mean over channels of chosen layers' outputs for one image.
///
/// # Errors
///
/// If drawing fails, or a model has not so many layers as the first.
pub fn draw(models: &[Seen], layers: &[usize], image: usize) -> Result<String> {
    let mut grids = Vec::new();
    for model in models {
        let of_model = layers.iter().map(|layer| {
            let found = model.layers.get(*layer);
            let found = found.map(|found| (found.path.clone(), grid(&found.values, image)));
            found.ok_or_else(|| {
                anyhow!(
                    "{} has only {} layers: compare models of one architecture",
                    model.name,
                    model.layers.len()
                )
            })
        });
        grids.push(of_model.collect::<Result<Vec<_>>>()?);
    }
    let mut svg = String::new();
    paint(&mut svg, models, &grids)
        .map_err(|error| anyhow!("the maps cannot be drawn: {error}"))?;
    Ok(svg)
}

/// The mean over channels, by row.
fn grid(values: &burn::tensor::Tensor<4>, image: usize) -> Vec<Vec<f64>> {
    let mean = values.clone().narrow(0, image, 1).mean_dim(1);
    let [_, _, _, width] = mean.dims();
    let numbers: Vec<f64> = mean.to_data().iter::<f64>().collect();
    numbers.chunks(width).map(<[f64]>::to_vec).collect()
}

fn paint(svg: &mut String, models: &[Seen], grids: &[Vec<Grid>]) -> Drawn {
    let columns = grids[0].len();
    let size = (SIDE * columns as u32, (SIDE + 24) * models.len() as u32);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let largest: Vec<f64> = (0..columns)
        .map(|column| {
            let numbers = grids.iter().flat_map(|row| row[column].1.iter().flatten());
            numbers.fold(1e-9, |largest: f64, number| largest.max(number.abs()))
        })
        .collect();
    let areas = root.split_evenly((models.len(), columns));
    for (row, model) in models.iter().enumerate() {
        for (column, (layer, grid)) in grids[row].iter().enumerate() {
            let area = areas[row * columns + column].margin(4, 4, 6, 6);
            let area = area.titled(&format!("{}: {layer}", model.name), ("sans-serif", 15))?;
            let (height, width) = (grid.len() as i32, grid[0].len() as i32);
            let (wide, high) = area.dim_in_pixel();
            let edge = |at: i32, count: i32, pixels: u32| at * pixels as i32 / count;
            for (y, line) in grid.iter().enumerate() {
                for (x, number) in line.iter().enumerate() {
                    let (x, y) = (x as i32, y as i32);
                    let low = (edge(x, width, wide), edge(y, height, high));
                    let end = (edge(x + 1, width, wide), edge(y + 1, height, high));
                    let colour = ViridisRGB::get_color((number / largest[column]).max(0.0));
                    area.draw(&Rectangle::new([low, end], colour.filled()))?;
                }
            }
        }
    }
    root.present()?;
    Ok(())
}
