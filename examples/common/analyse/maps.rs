//! Feature maps as a picture: a row for each model, one scale for each column. Columns are the image, layers, and where the model looks.

use anyhow::{Result, anyhow};
use burn::tensor::Tensor;
use plotters::prelude::*;

use super::features::Seen;

type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// What is drawn, and its numbers by row.
type Grid = (String, Vec<Vec<f64>>);

const SIDE: u32 = 260;

/// Draws the mean over channels of chosen layers' outputs for one image, and the evidence for the likeliest class where
/// all models have some.
///
/// # Errors
///
/// If drawing fails, or a model has not so many layers as the first.
pub fn draw(models: &[Seen], layers: &[usize], image: usize) -> Result<String> {
    let mut grids = Vec::new();
    let has_evidence = models.iter().all(|model| model.evidence.is_some());
    for model in models {
        let of_model = layers.iter().map(|layer| {
            let found = model.layers.get(*layer);
            let found = found.map(|found| {
                let of_image = found.values.clone().narrow(0, image, 1).squeeze_dim(0);
                (found.path.clone(), rows(of_image))
            });
            found.ok_or_else(|| {
                anyhow!(
                    "{} has only {} layers: compare models of one architecture",
                    model.name,
                    model.layers.len()
                )
            })
        });
        let mut of_model: Vec<Grid> = of_model.collect::<Result<_>>()?;
        of_model.insert(0, ("image".to_string(), rows(brightness(&model.image))));
        let evidence = model.evidence.iter().filter(|_| has_evidence);
        of_model.extend(evidence.map(|(class, map)| {
            let title = format!("evidence for {class}");
            (title, rows(map.clone().unsqueeze_dim(0)))
        }));
        grids.push(of_model);
    }
    let mut svg = String::new();
    paint(&mut svg, models, &grids)
        .map_err(|error| anyhow!("the maps cannot be drawn: {error}"))?;
    Ok(svg)
}

/// An image from 0 at its darkest place.
fn brightness(image: &Tensor<3>) -> Tensor<3> {
    let mean = image.clone().mean_dim(0);
    mean.clone() - mean.min().reshape([1, 1, 1])
}

/// The mean over channels, by row.
fn rows(values: Tensor<3>) -> Vec<Vec<f64>> {
    let mean = values.mean_dim(0);
    let [_, _, width] = mean.dims();
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
                    // A pixel below the next ones: where a picture is scaled, the ground would shine through their edges.
                    let end = (
                        edge(x + 1, width, wide) + i32::from(x + 1 < width),
                        edge(y + 1, height, high) + i32::from(y + 1 < height),
                    );
                    let colour = ViridisRGB::get_color((number / largest[column]).max(0.0));
                    area.draw(&Rectangle::new([low, end], colour.filled()))?;
                }
            }
        }
    }
    root.present()?;
    Ok(())
}
