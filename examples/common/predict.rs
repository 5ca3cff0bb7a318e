//! What a model makes of the user's own images.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};
use zosam::data::{ImageFolderConfig, read_picture};
use zosam::model_file::Input;

use super::cli::Predict;
use super::file::{self, FileTask, Opened, class_name};
use super::output::{Event, Output};
use super::{Classifier, Network, Program};

/// Prints the likeliest classes of each image file.
pub fn run<P: Program>(command: Predict<P>) -> Result<()> {
    let task = Naming {
        images: command.images,
        top: command.top,
        json: command.file.machine.json,
    };
    file::with(command.model, command.file, task)
}

struct Naming {
    images: Vec<PathBuf>,
    top: usize,
    json: bool,
}

impl FileTask for Naming {
    fn run<N: Network>(self, opened: Opened<N>) -> Result<()> {
        let output = Output::new(self.json, None);
        let [channels, height, width] = opened.input.shape;
        for file in &self.images {
            let pixels = pixels(file, &opened.input)?;
            let image = TensorData::new(pixels, [1, channels, height, width]);
            let logits = opened
                .model
                .logits(Tensor::from_data(image, &opened.device));
            let chances: Vec<f64> = softmax(logits, 1).to_data().iter::<f64>().collect();
            let mut order: Vec<usize> = (0..chances.len()).collect();
            order.sort_by(|a, b| chances[*b].total_cmp(&chances[*a]));
            let best = order.iter().take(self.top).map(|class| {
                let name = class_name(&opened.classes, *class);
                (name, chances[*class])
            });
            let best: Vec<(String, f64)> = best.collect();
            let words = best
                .iter()
                .map(|(name, chance)| format!("{name} {:.1}%", 100.0 * chance));
            let words: Vec<String> = words.collect();
            eprintln!("{}: {}", file.display(), words.join(", "));
            output.event(&Event::Prediction { file, best: &best })?;
        }
        Ok(())
    }
}

/// The middle of an image, upright and resized to the network's input, as the loader gives it for testing.
fn pixels(file: &Path, input: &Input) -> Result<Vec<f32>> {
    let framing = ImageFolderConfig {
        exif_orientation: true,
        ..input.framing()
    };
    let picture = read_picture(file, &framing)?;
    let [_, height, width] = picture.shape();
    let planes = picture.pixels().chunks_exact(height * width);
    let channels = input.mean.iter().zip(&input.deviation);
    let scaled = planes.zip(channels).flat_map(|(plane, (mean, deviation))| {
        plane
            .iter()
            .map(move |pixel| (f32::from(*pixel) / 255.0 - mean) / deviation)
    });
    Ok(scaled.collect())
}
