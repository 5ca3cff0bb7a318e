//! Writing a model file for other programs.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use zosam::model_file::SaveOptions;

use super::cli::Export;
use super::file::{self, FileTask, Opened};
use super::{Network, Program};

/// Reads a model file and writes it again, in another layout.
pub fn run<P: Program>(command: Export<P>) -> Result<()> {
    let task = Writing {
        to: command.to,
        dense: command.dense,
    };
    file::with(command.model, command.file, task)
}

struct Writing {
    to: PathBuf,
    dense: bool,
}

impl FileTask for Writing {
    fn run<N: Network>(self, opened: Opened<N>) -> Result<()> {
        let to = self.to.display();
        ensure!(
            !self.to.exists(),
            "{to} exists already: choose another name"
        );
        let card = match opened.card {
            Some(card) => card,
            None => file::card(&opened.config, &opened.classes, &opened.input)?,
        };
        let options = SaveOptions::new().with_card(card);
        let options = match self.dense {
            true => options.dense(),
            false => options,
        };
        options.save(&self.to, &opened.model, &opened.masks)?;
        let kind = match (self.dense, opened.masks.is_dense()) {
            (true, _) => "all weights, under PyTorch's names",
            (false, true) => "all weights; the file has no masks",
            (false, false) => "live weights and where they are",
        };
        eprintln!("{to}: {kind}");
        Ok(())
    }
}
