//! What a model makes of the user's own images.

use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};
use zosam::data::read_picture;
use zosam::model_file::load_model;

use super::args::{Args, DatasetName};
use super::config::device;
use super::dataset::{self, Data};
use super::output::{Event, Output};
use super::{Classifier, Network, NetworkConfig};

/// Prints the three likeliest classes of each image file.
pub fn run<N: Network>(network: &N, args: &Args, path: &Path, files: &[PathBuf]) -> Result<()> {
    let data = dataset::load(args)?;
    let device = device(args.device)?;
    let shape = data.shape;
    let model = network.config(shape, data.train.classes())?.init(&device)?;
    let (model, _) = load_model(path, model)?;
    let output = Output::new(args.json, None);
    for file in files {
        let [channels, height, width] = shape;
        let image = TensorData::new(pixels(file, &data)?, [1, channels, height, width]);
        let logits = model.logits(Tensor::from_data(image, &device));
        let chances: Vec<f64> = softmax(logits, 1).to_data().iter::<f64>().collect();
        let mut order: Vec<usize> = (0..chances.len()).collect();
        order.sort_by(|a, b| chances[*b].total_cmp(&chances[*a]));
        let name = |class: usize| match data.train.class_name(class) {
            Some(name) => name.to_string(),
            None => class_name(args.dataset, class),
        };
        let best = order.iter().take(3);
        let best: Vec<(String, f64)> = best.map(|class| (name(*class), chances[*class])).collect();
        let words = best
            .iter()
            .map(|(name, chance)| format!("{name} {:.1}%", 100.0 * chance));
        let words: Vec<String> = words.collect();
        eprintln!("{}: {}", file.display(), words.join(", "));
        output.event(&Event::Prediction { file, best: &best })?;
    }
    Ok(())
}

/// The middle of an image, resized to the network's input, as the loader gives it for testing.
fn pixels(file: &Path, data: &Data) -> Result<Vec<f32>> {
    let picture = read_picture(file, &data.framing)?;
    let [_, height, width] = picture.shape();
    let planes = picture.pixels().chunks_exact(height * width);
    let normalization = &data.normalization;
    let channels = normalization.mean.iter().zip(&normalization.deviation);
    let scaled = planes.zip(channels).flat_map(|(plane, (mean, deviation))| {
        plane
            .iter()
            .map(move |pixel| (f32::from(*pixel) / 255.0 - mean) / deviation)
    });
    Ok(scaled.collect())
}

fn class_name(dataset: DatasetName, class: usize) -> String {
    let names: &[&str] = match dataset {
        DatasetName::FashionMnist => &[
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ],
        DatasetName::Cifar10 => &[
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ],
        DatasetName::Cifar100 | DatasetName::Folder => &[],
    };
    names
        .get(class)
        .map_or(format!("class {class}"), |name| name.to_string())
}
