//! Writing a model file for other programs.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use burn::tensor::Tensor;
use zosam::inference::SparseNetwork;
use zosam::model_file::SaveOptions;

use super::cli::{Export, Layout};
use super::file::{self, FileTask, Opened};
use super::{Classifier, Network, Program};

/// Reads a model file and writes it again, in another layout.
pub fn run<P: Program>(command: Export<P>) -> Result<()> {
    let task = Writing {
        to: command.to,
        layout: command.layout,
    };
    file::with(command.model, command.file, task)
}

struct Writing {
    to: PathBuf,
    layout: Layout,
}

impl FileTask for Writing {
    fn run<N: Network>(self, opened: Opened<N>) -> Result<()> {
        let to = self.to.display();
        ensure!(
            !self.to.exists(),
            "{to} exists already: choose another name"
        );
        let kind = match self.layout {
            Layout { compiled: true, .. } => {
                compiled(&opened)?.save(&self.to)?;
                "a compiled network, live weights only"
            }
            Layout { onnx: true, .. } => {
                compiled(&opened)?.save_onnx(&self.to)?;
                "ONNX, opset 18, all weights"
            }
            Layout { dense, .. } => model(opened, dense, &self.to)?,
        };
        eprintln!("{to}: {kind}");
        Ok(())
    }
}

fn compiled<N: Network>(opened: &Opened<N>) -> Result<SparseNetwork> {
    let [channels, height, width] = opened.input.shape;
    let sample = Tensor::<4>::zeros([1, channels, height, width], &opened.device);
    let logits = |model: &N::Model, images| model.logits(images);
    Ok(SparseNetwork::compile(&opened.model, sample, logits)?)
}

/// Writes a model file; what it is in words.
fn model<N: Network>(opened: Opened<N>, dense: bool, to: &Path) -> Result<&'static str> {
    let card = match opened.card {
        Some(card) => card,
        None => file::card(&opened.config, &opened.classes, &opened.input)?,
    };
    let mut options = SaveOptions::new().with_card(card);
    if dense {
        options = options.dense();
    }
    options.save(to, &opened.model, &opened.masks)?;
    Ok(match (dense, opened.masks.is_dense()) {
        (true, _) => "all weights, under PyTorch's names",
        (false, true) => "all weights; the file has no masks",
        (false, false) => "live weights and where they are",
    })
}
