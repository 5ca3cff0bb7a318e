//! A model file, by what it says of itself or, of a file that says nothing, by options and images.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use zosam::masks::Masks;
use zosam::model_file::{Card, Input, load, load_model, read_card};

use super::args::{DataArgs, DatasetName, MachineArgs};
use super::cli::File;
use super::config::device;
use super::dataset::{self, Data};
use super::{Network, Program, Task, agree};

/// What is done with a model and what is known of it.
pub trait FileTask {
    /// Does it.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong.
    fn run<N: Network>(self, opened: Opened<N>) -> Result<()>;
}

/// A model, ready to be used.
pub struct Opened<N: Network> {
    pub config: N,
    pub model: N::Model,
    pub masks: Masks,
    pub device: Device,
    pub card: Option<Card>,
    pub input: Input,
    /// Names of the classes, in the order of the model's answers.
    pub classes: Vec<String>,
    pub data: DataArgs,
    /// The images that had to be read to learn of the rest.
    pub images: Option<Data>,
}

/// Opens a file and does something with its model.
pub fn with<P: Program>(path: PathBuf, file: File<P>, task: impl FileTask) -> Result<()> {
    let card = read_card(&path)?;
    let mut opening = Opening {
        path,
        card,
        data: file.data,
        images: None,
        machine: file.machine,
        task,
    };
    if let Some(card) = opening.card.clone() {
        agree_with(&mut opening.data, &card)?;
        return P::by_card(&file.network, &card, opening);
    }
    let images = dataset::for_training(&opening.data, None, &P::DEFAULTS, false);
    let images = images.with_context(|| {
        let path = opening.path.display();
        format!("{path} does not say what it is of: that takes its images, and the options of its network")
    })?;
    let (shape, classes) = (images.shape, images.classes.len());
    opening.images = Some(images);
    P::by_options(&file.network, shape, classes, opening)
}

/// Takes the data set from a file if nothing else tells it.
pub fn take_dataset(data: &mut DataArgs, card: &Card) {
    let of_file = card.data().and_then(DatasetName::named);
    let held = data.data.as_deref().and_then(DatasetName::of_folder);
    data.dataset = data.dataset.or(held).or(of_file);
}

/// What a file with this model says of itself.
pub fn card<N: Network>(config: &N, classes: &[String], input: &Input) -> Result<Card> {
    let card = Card::new(config)?.with_classes(classes)?;
    Ok(card.with_input(input.clone())?)
}

/// Takes from a file what the options leave open of the images, and refuses what contradicts it.
fn agree_with(data: &mut DataArgs, card: &Card) -> Result<()> {
    take_dataset(data, card);
    let input = card.input().map(|input| input.shape);
    let [_, height, width] = input.unwrap_or_default();
    ensure!(
        data.image_size.is_none() || height == width,
        "--image-size is for squares, but the file's images are {height} × {width}: leave it out"
    );
    agree("--image-size", data.image_size, input.map(|_| height))
}

struct Opening<T> {
    path: PathBuf,
    card: Option<Card>,
    data: DataArgs,
    images: Option<Data>,
    machine: MachineArgs,
    task: T,
}

impl<T: FileTask> Task for Opening<T> {
    fn run<N: Network>(self, config: N) -> Result<()> {
        let device = device(self.machine.device)?;
        let (model, masks) = match &self.card {
            Some(_) => {
                let loaded = load::<N>(&self.path, &device)?;
                (loaded.model, loaded.masks)
            }
            None => load_model(&self.path, config.init(&device)?)?,
        };
        let (input, classes) = described(&self.path, self.card.as_ref(), self.images.as_ref())?;
        self.task.run(Opened {
            config,
            model,
            masks,
            device,
            input,
            classes,
            card: self.card,
            data: self.data,
            images: self.images,
        })
    }
}

/// Input and classes, by the file or by the images.
fn described(
    path: &Path,
    card: Option<&Card>,
    images: Option<&Data>,
) -> Result<(Input, Vec<String>)> {
    if let Some(images) = images {
        let input = Input::new(&images.framing, &images.normalization)?;
        return Ok((input, images.classes.clone()));
    }
    let card = card.context("a file without a card is opened with images")?;
    let input = card
        .input()
        .with_context(|| format!("{} does not say what its images are like", path.display()))?;
    Ok((input.clone(), card.classes().to_vec()))
}

/// Name of a class, as far as it is known.
pub fn class_name(classes: &[String], class: usize) -> String {
    classes
        .get(class)
        .cloned()
        .unwrap_or(format!("class {class}"))
}
