//! The options of sparsity.

use zosam::masks::Execution;
use zosam::sparse::Granularity;

use super::names::{DistributionName, MethodName};

/// Which weights live.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Sparsity")]
pub struct SparseArgs {
    /// Sparse-training method [default: keep for a sparse --finetune, else resnet32 rigl, deit svite].
    #[arg(long, value_enum)]
    pub method: Option<MethodName>,
    /// Share of dead weights [default: what N:M makes, else resnet32 0.9, deit 0.5].
    #[arg(long)]
    pub sparsity: Option<f64>,
    /// Units in which weights live and die: unstructured, 2:4, 4x4, channel, …
    ///
    /// N:M, or OUTPUTSxINPUTS. Layers that do not consist of whole units stay unstructured.
    #[arg(long, default_value_t = Granularity::Unstructured, hide_short_help = true)]
    pub granularity: Granularity,
    /// Density of the layers whose path matches, as REGEX=VALUE; may be given several times.
    #[arg(long, value_name = "REGEX=VALUE", value_parser = density, hide_short_help = true)]
    pub density: Vec<(String, f64)>,
    /// Density of each layer [default: the method's paper's].
    #[arg(long, value_enum, hide_short_help = true)]
    pub distribution: Option<DistributionName>,
    /// Steps between changes of masks [default: the method's paper's, scaled to the run].
    #[arg(long, value_name = "STEPS", hide_short_help = true)]
    pub update_every: Option<u64>,
    /// Share of live weights exchanged by the first change [default: the method's paper's].
    #[arg(long, hide_short_help = true)]
    pub drop_fraction: Option<f64>,
    /// Lottery tickets: epochs after which weights are kept to rewind to.
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true)]
    pub rewind_epochs: usize,
    /// Lottery tickets: share of the live weights that die after each level of --epochs epochs.
    #[arg(long, default_value_t = 0.2, hide_short_help = true)]
    pub prune_rate: f64,
    /// Arithmetic of masked layers: auto (sparse where that was measured to be faster), dense or sparse.
    #[arg(
        long,
        default_value = "auto",
        value_name = "auto|dense|sparse",
        hide_short_help = true
    )]
    pub execution: Execution,
}

impl SparseArgs {
    /// Share of dead weights: the one asked for, else what N:M makes, else a default.
    pub fn sparsity(&self, default: f64) -> f64 {
        self.sparsity.unwrap_or(match self.granularity {
            Granularity::NOfM { live, of } if 0 < live && live < of => {
                1.0 - live as f64 / of as f64
            }
            _ => default,
        })
    }
}

fn density(text: &str) -> Result<(String, f64), String> {
    let (pattern, value) = text.rsplit_once('=').ok_or("expected REGEX=VALUE")?;
    let value = value.parse().map_err(|error| format!("{value}: {error}"))?;
    Ok((pattern.to_string(), value))
}
