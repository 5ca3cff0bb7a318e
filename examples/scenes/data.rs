//! The scenes, and what is kept of a run.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;
use zosam::checkpoint::write_atomically;
use zosam::model_file::save_model;

use crate::embedded::embedded;
use crate::fit::Finished;
use crate::options::Options;
use crate::picture;
use crate::scene::{SIDE, Scene, scenes};

/// Halvings of a scene on the network's way down, and the scene itself.
pub const LEVELS: usize = 4;
/// Test scenes that are computed at a time.
pub const AT_ONCE: usize = 50;
/// Test scenes in a picture.
pub const SHOWN: usize = 8;

/// The scenes, the same for all runs.
pub struct Data {
    pub train: Vec<Scene>,
    pub test: Vec<Scene>,
    pub width: usize,
    out: Option<PathBuf>,
}

impl Data {
    /// Scenes for training and for testing have no image in common.
    pub fn new(options: &Options) -> Result<Self> {
        if let Some(out) = &options.out {
            ensure!(
                !out.exists(),
                "--out {}: it is there already; choose another",
                out.display()
            );
        }
        let (train, test) = embedded()?;
        let seed = options.data_seed;
        Ok(Self {
            train: scenes(&train, options.scenes, seed),
            test: scenes(&test, options.test_scenes.get(), seed),
            width: options.width.get(),
            out: options.out.clone(),
        })
    }

    /// Some of the scenes for training.
    pub fn chosen(&self, chosen: &[usize]) -> Vec<&Scene> {
        chosen.iter().map(|index| &self.train[*index]).collect()
    }

    /// Keeps metrics, the model and rows of pictures, if there is a place.
    pub fn keep<M: Module>(
        &self,
        run: &Finished<M>,
        rows: impl FnOnce(&[Scene]) -> [Vec<RgbImage>; 2],
    ) -> Result<()> {
        let Some(out) = &self.out else { return Ok(()) };
        let folder = out.join(format!("seed-{}", run.seed));
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let lines: String = run
            .epochs
            .iter()
            .map(|event| format!("{event}\n"))
            .collect();
        write_atomically(&folder.join("metrics.jsonl"), lines.as_bytes())?;
        save_model(
            folder.join("model.safetensors"),
            run.model,
            run.sparsity.masks(),
        )?;
        let shown = &self.test[..SHOWN.min(self.test.len())];
        let [right, found] = rows(shown);
        let plain = shown.iter().map(picture::grey).collect();
        picture::save(&folder.join("predictions.png"), &[plain, right, found])
    }
}

/// Pictures `[batch, 1, 64, 64]`.
pub fn images(scenes: &[&Scene], device: &Device) -> Tensor<4> {
    let pixels = scenes.iter().flat_map(|scene| scene.pixels.iter().copied());
    let shape = [scenes.len(), 1, SIDE, SIDE];
    Tensor::from_data(TensorData::new(pixels.collect(), shape), device)
}
