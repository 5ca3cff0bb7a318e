//! What the loss is like around a trained model.

mod card;
pub mod features;
mod images;
mod maps;
mod portrait;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use zosam::checkpoint::write_atomically;
use zosam::data::{Batch, Loader, LoaderConfig};

use super::args::Defaults;
use super::cli::Analyse;
use super::file::{self, FileTask, Opened};
use super::output::{Event, Output};
use super::{Network, Program, dataset};
pub use card::draw;
pub use portrait::{Portrait, ProbeArgs};

/// Measures a model file, and keeps numbers and picture beside it.
pub fn run<P: Program>(command: Analyse<P>) -> Result<()> {
    let json = command.file.machine.json;
    let model = command.model.clone();
    let portrait = of_file(command)?;
    eprint!("{portrait}");
    let svg = draw(std::slice::from_ref(&portrait))?;
    write_atomically(&model.with_file_name("analysis.svg"), svg.as_bytes())?;
    Output::new(json, None).event(&Event::Analysis(&portrait))
}

/// The portrait of a model file: the one that was kept, if it was measured alike, else a new one, which is kept.
pub fn of_file<P: Program>(command: Analyse<P>) -> Result<Portrait> {
    let kept = command.model.with_file_name("analysis.json");
    let name = name(&command.model);
    let hash = hash(&command.model)?;
    let is_of_this = |of: &Portrait| of.args == command.probes && of.file == hash;
    if let Some(portrait) = read(&kept)?.filter(is_of_this) {
        return Ok(Portrait { name, ..portrait });
    }
    let mut found = None;
    let task = Analysis {
        args: command.probes,
        defaults: P::DEFAULTS,
        name,
        found: &mut found,
    };
    file::with(command.model, command.file, task)?;
    let mut portrait = found.context("a model that was opened is measured")?;
    portrait.file = hash;
    let text = format!("{:#}\n", serde_json::to_value(&portrait)?);
    write_atomically(&kept, text.as_bytes())?;
    Ok(portrait)
}

/// A portrait that an earlier call has kept.
fn read(path: &Path) -> Result<Option<Portrait>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    // One of another version is measured anew.
    Ok(serde_json::from_str(&text).ok())
}

/// SHA-256 of a file.
fn hash(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let hash = Sha256::digest(&bytes);
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A model goes by the name of its folder.
fn name(model: &Path) -> String {
    let whole = std::path::absolute(model).unwrap_or_else(|_| PathBuf::from(model));
    let folder = whole.parent().and_then(Path::file_name);
    folder.map_or(String::new(), |name| name.to_string_lossy().into_owned())
}

struct Analysis<'a> {
    args: ProbeArgs,
    defaults: Defaults,
    name: String,
    found: &'a mut Option<Portrait>,
}

impl FileTask for Analysis<'_> {
    fn run<N: Network>(self, mut opened: Opened<N>) -> Result<()> {
        let batches = self.batches(&mut opened)?;
        *self.found = Some(Portrait::of(&opened, &batches, self.args, self.name)?);
        Ok(())
    }
}

impl Analysis<'_> {
    /// The first training images, as they are.
    fn batches<N: Network>(&self, opened: &mut Opened<N>) -> Result<Vec<Batch>> {
        let mut data = opened.data.clone();
        let limit = data.limit().unwrap_or(usize::MAX).min(self.args.images);
        data.limit = Some(limit);
        let card = opened.card.as_ref();
        let images = dataset::for_training(&data, card, &self.defaults, false)?;
        let config = LoaderConfig {
            batch_size: self.args.batch_size.min(limit),
            normalization: Some(opened.input.normalization()),
            corrupt_images: dataset::corrupt_images(&data),
            ..LoaderConfig::evaluation()
        };
        let loader = Loader::new(images.train, config)?;
        Ok(loader.epoch(0, 0).collect::<zosam::Result<_>>()?)
    }
}
