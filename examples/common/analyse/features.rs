//! What layers make of the same images in several models.

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::Serialize;
use zosam::analysis::{class_activation, dead_channels, feature_maps, linear_cka};
use zosam::checkpoint::write_atomically;
use zosam::masks::Execution;
use zosam::tree;

use super::{Analysis, maps, name};
use crate::common::cli::Features;
use crate::common::file::{self, FileTask, Opened};
use crate::common::output::{Event, Output};
use crate::common::{Classifier, Network, Program};

/// What one model makes of the images.
pub struct Seen {
    pub name: String,
    /// The image that is drawn, `[channels, height, width]`.
    pub image: Tensor<3>,
    /// By layer, behind norm and ReLU.
    pub layers: Vec<Layer>,
    /// The likeliest class of the image, and where the model looks for it, `[height, width]`; `None`
    /// of a network whose classifier is not linear in the means of the last layer's channels.
    pub evidence: Option<(String, Tensor<2>)>,
}

/// A layer's output.
pub struct Layer {
    pub path: String,
    /// `[images, channels, height, width]`.
    pub values: Tensor<4>,
}

/// What is said of a layer of a model.
#[derive(Debug, Serialize)]
pub struct LayerSummary {
    layer: String,
    /// Share of channels that are zero on all images.
    dead_channels: f64,
    /// Linear CKA with the same layer of the first model.
    likeness: Option<f64>,
}

/// Draws the maps of some layers for one image, and says of every layer how much of it is dead and how like that of the
/// first model it is.
pub fn run<P: Program>(command: Features<P>) -> Result<()> {
    let mut models: Vec<Seen> = Vec::new();
    let json = command.file.machine.json;
    let image = command.image;
    ensure!(
        image < command.images,
        "--image is {image}: there are {} images, from 0",
        command.images
    );
    for run in &command.runs {
        let model = match run.is_dir() {
            true => run.join("model.safetensors"),
            false => run.clone(),
        };
        let task = Looking {
            analysis: Analysis {
                args: super::ProbeArgs::few(command.images),
                defaults: P::DEFAULTS,
                name: name(&model),
                found: &mut None,
            },
            image,
            seen: &mut models,
        };
        file::with(model, command.file.clone(), task)?;
    }
    let first = models.first().context("at least one model is given")?;
    let shown = layers(first, &command.layers)?;
    std::fs::create_dir_all(&command.out)?;
    let path = command.out.join("features.svg");
    write_atomically(&path, maps::draw(&models, &shown, image)?.as_bytes())?;
    let output = Output::new(json, None);
    for model in &models {
        let layers = summaries(model, &models[0]);
        say(&model.name, &layers);
        output.event(&Event::Features {
            model: &model.name,
            layers: &layers,
        })?;
    }
    eprintln!("{}", path.display());
    Ok(())
}

/// Places of the layers to draw: those asked for, from 1, or the first, the middle and the last.
fn layers(model: &Seen, wanted: &[usize]) -> Result<Vec<usize>> {
    let count = model.layers.len();
    ensure!(
        count > 0,
        "the network has no batch norm of zosam::nn on images, whose outputs could be drawn"
    );
    if wanted.is_empty() {
        return Ok(vec![0, count / 2, count - 1]);
    }
    let places = wanted.iter().map(|layer| {
        ensure!(
            (1..=count).contains(layer),
            "--layers {layer}: the network has layers 1 to {count}"
        );
        Ok(layer - 1)
    });
    places.collect()
}

fn summaries(model: &Seen, first: &Seen) -> Vec<LayerSummary> {
    let flat = |layer: &Layer| layer.values.clone().flatten::<2>(1, 3);
    let is_first = std::ptr::eq(model, first);
    let of = |layer: &Layer| {
        let other = first.layers.iter().find(|other| other.path == layer.path);
        let other = other.filter(|_| !is_first);
        LayerSummary {
            layer: layer.path.clone(),
            dead_channels: dead_channels(layer.values.clone()),
            likeness: other.map(|other| linear_cka(flat(layer), flat(other))),
        }
    };
    model.layers.iter().map(of).collect()
}

fn say(name: &str, layers: &[LayerSummary]) {
    eprintln!("{name:<28} dead channels   likeness to the first");
    for layer in layers {
        let likeness = layer
            .likeness
            .map_or(String::new(), |cka| format!("{cka:.3}"));
        let dead = 100.0 * layer.dead_channels;
        eprintln!("{:<28} {dead:>11.1} %   {likeness:>8}", layer.layer);
    }
}

struct Looking<'a> {
    analysis: Analysis<'a>,
    image: usize,
    seen: &'a mut Vec<Seen>,
}

impl FileTask for Looking<'_> {
    fn run<N: Network>(self, mut opened: Opened<N>) -> Result<()> {
        let batches = self.analysis.batches(&mut opened)?;
        let batch = batches.first().context("there is an image")?;
        let (images, _) = batch.to_tensors(&opened.device);
        let image = images.clone().narrow(0, self.image, 1).squeeze_dim(0);
        let look = || feature_maps(&opened.model, |model| model.logits(images));
        let (logits, maps) = opened.masks.run(Execution::Auto, look);
        let norms = maps.into_iter().filter(|map| map.layer.contains("bn"));
        let layers = norms.map(|map| Layer {
            path: map.layer,
            values: map.values,
        });
        let layers: Vec<Layer> = layers.collect();
        let likeliest = logits.narrow(0, self.image, 1).argmax(1);
        let class = likeliest.into_scalar::<i64>() as usize;
        let evidence = layers.last().and_then(|last| {
            let maps: Tensor<3> = last.values.clone().narrow(0, self.image, 1).squeeze_dim(0);
            let sizes = [maps.dims()[0], opened.classes.len()];
            let weights = weights_of(&opened.model, sizes, class)?;
            // The map is small: the host is as good a place as any.
            let maps = Tensor::from_data(maps.into_data(), &Device::flex());
            Some(class_activation(maps, weights))
        });
        self.seen.push(Seen {
            name: self.analysis.name,
            image,
            layers,
            evidence: evidence.map(|map| (opened.classes[class].clone(), map)),
        });
        Ok(())
    }
}

/// The classifier's weights for a class, one for each channel of the last layer: the last weight that goes from these
/// channels to the classes.
fn weights_of(model: &impl Module, sizes: [usize; 2], class: usize) -> Option<Tensor<1>> {
    let tensors = tree::named_tensors(model).into_iter().rev();
    let mut classifiers = tensors.filter(|(_, data)| data.shape().to_vec() == sizes);
    let (_, data) = classifiers.next()?;
    let weights = Tensor::<2>::from_data(data, &Device::flex());
    Some(weights.narrow(1, class, 1).reshape([sizes[0]]))
}
