//! Testing on corrupted images.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use zosam::analysis::Robustness;
use zosam::data::{Corruption, Images, cifar_c};

/// Which corrupted images to test on.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Test on corrupted images, too: all (the 19 of CIFAR-10-C), benchmark (its 15), or names such as fog,snow.
    #[arg(long, value_name = "NAMES", value_parser = parse)]
    corruptions: Option<Corruptions>,
    /// Folder of CIFAR-10-C or CIFAR-100-C [default: corrupt the test images].
    #[arg(long, value_name = "DIR", requires = "corruptions")]
    corruption_data: Option<PathBuf>,
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

impl Options {
    /// Whether there is nothing to test.
    pub fn is_empty(&self) -> bool {
        self.corruptions.is_none()
    }

    /// Accuracy under each corruption at each severity, given that on the clean images.
    pub fn measure(
        &self,
        clean: &Images,
        clean_accuracy: f64,
        seed: u64,
        accuracy: impl Fn(Images) -> Result<f64>,
    ) -> Result<Robustness> {
        let mut robustness = Robustness::new(clean_accuracy);
        let corruptions = self.corruptions.iter().flat_map(|list| &list.0);
        for &corruption in corruptions {
            if self.corruption_data.is_none() && !corruption.is_faithful() {
                eprintln!("note: {corruption} is a substitute (docs/ROBUSTNESS.md)");
            }
            for severity in self.severity.map_or(1..=5, |severity| severity..=severity) {
                let images = match &self.corruption_data {
                    Some(folder) => cifar_c(folder, corruption, severity, clean.classes())?,
                    None => corruption.corrupt(clean, severity, seed)?,
                };
                ensure!(
                    images.shape() == clean.shape(),
                    "--corruption-data has images of {:?}, --dataset of {:?}",
                    images.shape(),
                    clean.shape()
                );
                robustness.add(corruption, severity, accuracy(images)?);
            }
        }
        Ok(robustness)
    }
}
