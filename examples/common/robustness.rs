//! Testing on corrupted images.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use zosam::analysis::Robustness;
use zosam::data::{Corruption, ImageSource, Picture, cifar_c};

use super::args::DatasetName;
use super::download;

/// Which corrupted images to test on.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Robustness")]
pub struct CorruptionArgs {
    /// Test on corrupted images, too: all (the 19 of CIFAR-10-C), benchmark (its 15), or names such as fog,snow.
    #[arg(long, value_name = "NAMES", value_parser = parse)]
    corruptions: Option<Corruptions>,
    /// Folder of CIFAR-10-C or CIFAR-100-C [default: corrupt the test images].
    #[arg(long, value_name = "DIR", requires = "corruptions")]
    corruption_data: Option<PathBuf>,
    /// Fetch the published CIFAR-10-C or CIFAR-100-C (2.9 GB) into --corruption-data, or a cache folder, unless it is there
    /// (feature `network`).
    #[arg(long, requires = "corruptions")]
    download_corruptions: bool,
    /// The only severity, 1 to 5 [default: all].
    #[arg(long, value_name = "N", requires = "corruptions", value_parser = clap::value_parser!(u8).range(1..=5))]
    severity: Option<u8>,
}

/// A list, in one option.
#[derive(Debug, Clone)]
struct Corruptions(Vec<Corruption>);

fn parse(names: &str) -> zosam::Result<Corruptions> {
    Ok(Corruptions(match names {
        "all" => Corruption::all().collect(),
        "benchmark" => Corruption::BENCHMARK.to_vec(),
        names => {
            let corruptions = names.split(',').map(str::parse);
            corruptions.collect::<std::result::Result<_, _>>()?
        }
    }))
}

impl CorruptionArgs {
    /// Whether there is nothing to test.
    pub fn is_empty(&self) -> bool {
        self.corruptions.is_none()
    }

    /// The folder of published images, fetched if that is asked for; `None` to make them.
    pub fn folder(&self, dataset: DatasetName) -> Result<Option<PathBuf>> {
        let named = self.corruption_data.as_deref();
        match self.download_corruptions {
            true => download::corruptions(dataset, named).map(Some),
            false => Ok(named.map(Path::to_path_buf)),
        }
    }

    /// Accuracy under each corruption at each severity, given that on the clean images; on the published images of a folder,
    /// if there is one.
    pub fn measure(
        &self,
        clean: &Arc<dyn ImageSource>,
        clean_accuracy: f64,
        folder: Option<&Path>,
        seed: u64,
        accuracy: impl Fn(Arc<dyn ImageSource>) -> Result<f64>,
    ) -> Result<Robustness> {
        let mut robustness = Robustness::new(clean_accuracy);
        let corruptions = self.corruptions.iter().flat_map(|list| &list.0);
        for &corruption in corruptions {
            if folder.is_none() && !corruption.is_faithful() {
                eprintln!("note: {corruption} is a substitute (docs/ROBUSTNESS.md)");
            }
            for severity in self.severity.map_or(1..=5, |severity| severity..=severity) {
                let images: Arc<dyn ImageSource> = match folder {
                    Some(folder) => {
                        Arc::new(cifar_c(folder, corruption, severity, clean.classes())?)
                    }
                    None => Arc::new(Corrupted {
                        clean: Arc::clone(clean),
                        corruption,
                        severity,
                        seed,
                    }),
                };
                let size = |of: &Arc<dyn ImageSource>| (of.channels(), of.size());
                ensure!(
                    size(&images) == size(clean),
                    "--corruption-data has images of {:?} (channels, height and width), --dataset of {:?}",
                    size(&images),
                    size(clean)
                );
                robustness.add(corruption, severity, accuracy(images)?);
            }
        }
        Ok(robustness)
    }
}

/// Images that the loader's threads corrupt on the way, from memory or from a folder.
#[derive(Debug)]
struct Corrupted {
    clean: Arc<dyn ImageSource>,
    corruption: Corruption,
    severity: u8,
    seed: u64,
}

impl ImageSource for Corrupted {
    fn len(&self) -> usize {
        self.clean.len()
    }

    fn classes(&self) -> usize {
        self.clean.classes()
    }

    fn label(&self, index: usize) -> usize {
        self.clean.label(index)
    }

    fn channels(&self) -> usize {
        self.clean.channels()
    }

    fn size(&self) -> Option<[usize; 2]> {
        self.clean.size()
    }

    fn picture(&self, index: usize) -> zosam::Result<Picture> {
        let clean = self.clean.picture(index)?;
        let (pixels, shape) = (clean.pixels(), clean.shape());
        let pixels = self
            .corruption
            .apply(pixels, shape, self.severity, self.seed, index)?;
        Picture::new(pixels, shape)
    }
}
