//! The command line: options of training, or the command `generate`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::common::names::DeviceName;
use crate::common::sharpness::SharpnessArgs;
use crate::common::sparse_args::SparseArgs;
use crate::stored::{of_the_run, with_stored};
use crate::text::TextName;

#[derive(Debug, Parser)]
#[command(
    name = "language_model",
    about = "Train a sparse byte-level GPT with sharpness-aware minimization, and let it write",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Line {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub train: TrainOptions,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write on where a prompt stops, by a model file that training wrote.
    Generate(GenerateOptions),
}

#[derive(Debug, clap::Args)]
pub struct TrainOptions {
    /// What was given of the options that belong to a run.
    #[arg(skip)]
    pub given: Vec<String>,
    #[command(flatten)]
    pub network: NetworkOptions,
    #[command(flatten)]
    pub text: TextOptions,
    #[command(flatten)]
    pub run: RunOptions,
    #[command(flatten)]
    pub sparse: SparseArgs,
    #[command(flatten)]
    pub fit: FitOptions,
    #[command(flatten)]
    pub sharpness: SharpnessArgs,
    #[command(flatten)]
    pub sample: SampleOptions,
    #[command(flatten)]
    pub machine: MachineOptions,
}

/// Its sizes; those of a file's network are the file's.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkOptions {
    /// Blocks [default: 4].
    #[arg(long)]
    pub layers: Option<usize>,
    /// Width of the tokens [default: 64].
    #[arg(long)]
    pub width: Option<usize>,
    /// Heads of each attention [default: 4].
    #[arg(long)]
    pub heads: Option<usize>,
    /// Bytes that a prediction can look back on [default: 64].
    #[arg(long, value_name = "BYTES")]
    pub context: Option<usize>,
    /// Give the output a weight of its own, instead of the embedding's.
    #[arg(long)]
    pub untied: bool,
    /// Chance by which numbers are left out while training [default: 0, or the file's].
    #[arg(long)]
    pub dropout: Option<f64>,
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Text")]
pub struct TextOptions {
    /// Which files: sources (.rs, .py), docs (.md, .txt) or all.
    #[arg(long, value_enum, default_value_t = TextName::All)]
    pub text: TextName,
    /// Folder of the files [default: this repository].
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Run")]
pub struct RunOptions {
    /// Folder of the run: config.json, metrics.jsonl, checkpoints, model.safetensors.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on from the last whole checkpoint in --out, or start if there is none. Options are those of the run.
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Start from a model file; its live weights are kept unless --method says otherwise.
    #[arg(long, value_name = "FILE")]
    pub finetune: Option<PathBuf>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Training")]
pub struct FitOptions {
    /// Steps; of a lottery ticket, of each level.
    #[arg(long, default_value_t = const { NonZeroU64::new(300).unwrap() })]
    pub steps: NonZeroU64,
    /// Windows per step, each of --context bytes and their next ones.
    #[arg(long, default_value_t = const { NonZeroUsize::new(16).unwrap() })]
    pub batch_size: NonZeroUsize,
    /// Learning rate, which falls along a cosine to 0 [default: 0.01, which suits a width of 64; forward-only 0.003].
    #[arg(long)]
    pub lr: Option<f64>,
    /// Share of the steps over which the learning rate rises from 0.
    #[arg(long, default_value_t = 0.1)]
    pub warmup: f64,
    /// Decay of the linear layers' weights [default: 0.1; forward-only 0].
    #[arg(long)]
    pub weight_decay: Option<f64>,
    /// Scale gradients down whose norm, over the whole net, is larger than this [default: 1; forward-only none].
    #[arg(long, value_name = "NORM")]
    pub clip_norm: Option<f64>,
    /// Estimate gradients by forward passes, without a graph (MeZO): SGD instead of AdamW.
    ///
    /// The estimator is that of --sharpness zo-sam: its directions, draw, sides and, by default 0.001, --delta.
    #[arg(long)]
    pub forward_only: bool,
    /// Validate and save after every N steps, and after the last.
    #[arg(long, value_name = "N", default_value_t = const { NonZeroU64::new(50).unwrap() })]
    pub evaluate_every: NonZeroU64,
    /// Windows of the validation text, evenly over it, at most.
    #[arg(long, value_name = "N", default_value_t = const { NonZeroUsize::new(64).unwrap() })]
    pub windows: NonZeroUsize,
}

/// What is written, and how.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Writing")]
pub struct SampleOptions {
    /// What the text begins with.
    #[arg(long, default_value = "/// The ")]
    pub prompt: String,
    /// Bytes to write, at most: less if a file ends.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub bytes: usize,
    /// Divides logits: 0 takes the likeliest byte, 1 draws as the model predicts.
    #[arg(long, default_value_t = 0.8)]
    pub temperature: f64,
}

#[derive(Debug, Clone, Copy, clap::Args)]
#[command(next_help_heading = "Program")]
pub struct MachineOptions {
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = DeviceName::Flex)]
    pub device: DeviceName,
    /// Print one JSON object a line on standard output.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct GenerateOptions {
    /// The model file, such as the model.safetensors of a run.
    pub model: PathBuf,
    #[command(flatten)]
    pub sample: SampleOptions,
    /// Seed of the draws.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    pub machine: MachineOptions,
}

impl Line {
    /// The options of the process, with `--resume` behind those that its run was started with; help and errors of the
    /// command line end it.
    pub fn parsed() -> Result<Self> {
        let command = Self::command()
            .mut_arg("method", |arg| {
                arg.help("Sparse-training method [default: rigl; for --finetune keep, or dense as the file]")
            })
            .mut_arg("sparsity", |arg| {
                arg.help("Share of dead weights of the linear layers [default: what N:M makes, else the file's, else 0.8]")
            });
        let takes_value = |name: &str| {
            let mut options = command.get_arguments();
            let option = options.find(|option| option.get_long() == Some(name));
            option.is_some_and(|option| option.get_action().takes_values())
        };
        let mut arguments: Vec<String> = std::env::args().collect();
        let options = arguments.split_off(1.min(arguments.len()));
        let options = with_stored(Vec::new(), &options, takes_value)?;
        let given = of_the_run(&options, takes_value);
        arguments.extend(options);
        let matches = command.clone().get_matches_from(arguments);
        let mut line = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        line.train.given = given;
        Ok(line)
    }
}
