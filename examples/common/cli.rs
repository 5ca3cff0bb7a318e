//! The command line: `PROGRAM COMMAND OPTIONS`. Options may also come before the command, and without one it is `train`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Arg, ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::analyse::ProbeArgs;
use super::args::{Args, DataArgs, MachineArgs};
use super::options::{names, split};
use super::robustness::CorruptionArgs;
use super::{Program, options, recipe};

#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Options without a command are those of train: `train --help` lists the usual ones, `train --help-all` all."
)]
struct Line<P: Program> {
    #[command(subcommand)]
    command: Command<P>,
}

/// What a program does.
#[derive(Debug, Subcommand)]
pub enum Command<P: Program> {
    /// Train a network; this is what the program does without a command.
    Train(Box<Train<P>>),
    /// Test a model file on the test images: accuracy, calibration, confusion, robustness.
    Evaluate(Box<Evaluate<P>>),
    /// Name the likeliest classes of image files.
    Predict(Box<Predict<P>>),
    /// Print what a model file says of itself.
    Info(Info),
    /// Write a model file for other programs.
    Export(Box<Export<P>>),
    /// Measure how sharp the loss is around a model file: landscape, Hessian, rises.
    Analyse(Box<Analyse<P>>),
    /// Show what layers make of the same images in several models: maps, dead channels, likeness.
    Features(Box<Features<P>>),
    /// Compare many runs: tables, curves and a page, or the sharpness card of some.
    Study(Box<Study>),
}

#[derive(Debug, clap::Args)]
pub struct Train<P: Program> {
    #[command(flatten, next_help_heading = "Network")]
    pub network: P::Options,
    #[command(flatten)]
    pub args: Args,
}

/// What may have to be said of a model file.
#[derive(Debug, clap::Args)]
pub struct File<P: Program> {
    #[command(flatten, next_help_heading = UNNAMED)]
    pub network: P::Options,
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
}

impl<P: Program> Clone for File<P> {
    fn clone(&self) -> Self {
        Self {
            network: self.network.clone(),
            data: self.data.clone(),
            machine: self.machine.clone(),
        }
    }
}

/// Options of files without a card, which are few.
const UNNAMED: &str = "Network, of a file that does not name its own";

#[derive(Debug, clap::Args)]
pub struct Evaluate<P: Program> {
    /// The file, such as the model.safetensors of a run, or a .pth.
    pub model: PathBuf,
    #[command(flatten)]
    pub corruptions: CorruptionArgs,
    /// Seed of corruptions.
    #[arg(long, default_value_t = 0, hide_short_help = true)]
    pub seed: u64,
    #[command(flatten)]
    pub file: File<P>,
}

#[derive(Debug, clap::Args)]
pub struct Predict<P: Program> {
    /// The model file, such as the model.safetensors of a run.
    pub model: PathBuf,
    /// The images: JPEG, PNG, WebP, GIF, BMP or TIFF; their middle is resized to the network's input.
    #[arg(required = true)]
    pub images: Vec<PathBuf>,
    /// Classes to name.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub top: usize,
    #[command(flatten)]
    pub file: File<P>,
}

#[derive(Debug, clap::Args)]
pub struct Info {
    /// The file: safetensors or .pth.
    pub model: PathBuf,
    /// Print one JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Export<P: Program> {
    /// The model file, such as the model.safetensors of a run.
    pub model: PathBuf,
    /// The file to write.
    pub to: PathBuf,
    #[command(flatten)]
    pub layout: Layout,
    #[command(flatten)]
    pub file: File<P>,
}

#[derive(Debug, clap::Args)]
pub struct Analyse<P: Program> {
    /// The model file, such as the model.safetensors of a run; analysis.json and analysis.svg are kept beside it.
    pub model: PathBuf,
    #[command(flatten)]
    pub probes: ProbeArgs,
    #[command(flatten)]
    pub file: File<P>,
}

#[derive(Debug, clap::Args)]
pub struct Features<P: Program> {
    /// Folders of runs, or model files, of one architecture.
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// Folder for features.svg.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Layers to draw, from 1, behind norm and ReLU [default: the first, the middle, the last].
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pub layers: Vec<usize>,
    /// The training image to draw, from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub image: usize,
    /// Training images for dead channels and likeness.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub images: usize,
    #[command(flatten)]
    pub file: File<P>,
}

#[derive(Debug, clap::Args)]
pub struct Study {
    /// paper, variants, ladder, radius, methods, seconds, sparser, sensitivity, budget, or a JSON file like those in recipes/studies; or sharpness.
    pub what: String,
    /// With sharpness: folders of runs, or model files.
    pub runs: Vec<PathBuf>,
    /// Folder for runs and report; the same command goes on with what is there.
    #[arg(long, value_name = "DIR", default_value = "study")]
    pub out: PathBuf,
    /// Folder of the images, such as that with cifar-10-batches-bin [default: the built-in images].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Rows whose names hold any of these words.
    #[arg(long, value_name = "WORD,...", value_delimiter = ',')]
    pub rows: Vec<String>,
    /// How many seeds [default: the file's].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: Option<u64>,
    /// Begin no run that would end later than this, such as 20m or 2h.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub budget: Option<Duration>,
    /// More options for all runs, or for the measurements of sharpness; these win.
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    pub with: Option<String>,
    /// Rounds in which costs are measured, where times are to be equal.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// List the runs and what they will take, by twenty steps of each column, and make none.
    #[arg(long)]
    pub dry_run: bool,
}

fn duration(text: &str) -> Result<Duration> {
    let units = [("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let found = units
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, seconds) = found.context("a number with s, m or h: 90s, 20m, 2h")?;
    let number: f64 = number
        .parse()
        .context("a number with s, m or h: 90s, 20m, 2h")?;
    Duration::try_from_secs_f64(number * seconds).context("a time is positive")
}

/// What kind of file `export` writes: a model file if none of these is given.
#[derive(Debug, Clone, Copy, clap::Args)]
#[group(multiple = false)]
pub struct Layout {
    /// All weights, with their zeros, under PyTorch's names.
    ///
    /// PyTorch loads it: model.load_state_dict(safetensors.torch.load_file(FILE)).
    #[arg(long)]
    pub dense: bool,
    /// The compiled network, for zosam::inference::SparseNetwork::load: live weights only, without burn.
    #[arg(long)]
    pub compiled: bool,
    /// The compiled network in ONNX, opset 18, for other engines: all weights, with their zeros.
    #[arg(long)]
    pub onnx: bool,
}

/// What the arguments of the process ask for; an error is one line.
pub fn parsed<P: Program>() -> Result<Command<P>, Refusal> {
    parse(std::env::args().collect())
}

/// The options of a run that this process makes beside others.
///
/// # Errors
///
/// If one of them is unknown or has no such value.
pub fn train<P: Program>(options: Vec<String>) -> Result<Train<P>> {
    match parse_words::<P>("train", options)? {
        Command::Train(train) => Ok(*train),
        other => bail!("{other:?} trains nothing"),
    }
}

/// As [`train`], of the measurement of a model file.
///
/// # Errors
///
/// As [`train`].
pub fn analyse<P: Program>(options: Vec<String>) -> Result<Analyse<P>> {
    match parse_words::<P>("analyse", options)? {
        Command::Analyse(analyse) => Ok(*analyse),
        other => bail!("{other:?} measures nothing"),
    }
}

fn parse_words<P: Program>(command: &str, options: Vec<String>) -> Result<Command<P>> {
    let start = [P::NAME.to_string(), command.to_string()];
    let parsed = parse(start.into_iter().chain(options).collect());
    parsed.map_err(|refusal| match refusal {
        Refusal::Ours(error) => error,
        Refusal::Clap(error) => anyhow!("{}", one_line(&error).trim_start_matches("error: ")),
    })
}

fn parse<P: Program>(arguments: Vec<String>) -> Result<Command<P>, Refusal> {
    let mut line = Line::<P>::command().about(P::ABOUT).name(P::NAME);
    line = line.mut_subcommands(|command| {
        let flag = |name: &'static str| Arg::new(name).long(name).global(false);
        let short = flag("help").short('h').action(ArgAction::HelpShort);
        let long = flag("help-all").action(ArgAction::HelpLong);
        let command = command
            .disable_help_flag(true)
            .args_override_self(true)
            .allow_negative_numbers(true)
            .arg(short.help("Print the usual options"));
        let command = command.arg(long.help("Print all options, at length"));
        let shown = match command.get_name() {
            "evaluate" => &["data", "dataset", "test_limit"][..],
            "predict" | "export" => &[],
            _ => return command,
        };
        // A file that says what it is of needs none of these.
        command.mut_args(|arg| {
            let of_file = matches!(arg.get_help_heading(), Some(UNNAMED | "Images"));
            let is_shown = shown.contains(&arg.get_id().as_str());
            match of_file && !is_shown {
                true => arg.hide_short_help(true),
                false => arg,
            }
        })
    });
    let grammar = Grammar::of(&line);
    let arguments = recipe::expanded(arguments, P::NAME)
        .and_then(|arguments| grammar.arranged(arguments))
        .map_err(Refusal::Ours)?;
    let matches = line.try_get_matches_from(&arguments);
    let line = matches.and_then(|matches| Line::<P>::from_arg_matches(&matches));
    let mut command = line.map_err(Refusal::Clap)?.command;
    if let Command::Train(train) = &mut command {
        let takes_value = |option: &str| grammar.takes_value(option);
        train.args.defaults = P::DEFAULTS;
        train.args.options = options::of_the_run(&arguments[2..], takes_value);
    }
    Ok(command)
}

/// Why a command line is not carried out.
pub enum Refusal {
    Ours(anyhow::Error),
    /// Also help that was asked for.
    Clap(clap::Error),
}

/// Which options there are, and which of them take a value.
struct Grammar(BTreeMap<String, BTreeMap<String, bool>>);

impl Grammar {
    fn of(line: &clap::Command) -> Self {
        let options = |command: &clap::Command| {
            let long = command.get_arguments().filter_map(|arg| {
                Some((arg.get_long()?.to_string(), arg.get_action().takes_values()))
            });
            (command.get_name().to_string(), long.collect())
        };
        Self(line.get_subcommands().map(options).collect())
    }

    fn takes_value(&self, option: &str) -> bool {
        let mut commands = self.0.values();
        commands.any(|options| options.get(option) == Some(&true))
    }

    /// The command first, then its options: those before it that it knows, then those behind it.
    fn arranged(&self, arguments: Vec<String>) -> Result<Vec<String>> {
        let (program, rest) = arguments.split_first().context("a program has a name")?;
        let takes_value = |option: &str| self.takes_value(option);
        let (before, behind) = split(rest, takes_value);
        let is_unknown = |name: &str| !self.0.values().any(|known| known.contains_key(name));
        let (name, behind) = match behind.split_first() {
            // Whether it takes what is behind it is not known either: clap says what it may have been.
            _ if names(&before).into_iter().any(is_unknown) => {
                let start = [program.clone(), "train".to_string()];
                return Ok(start.into_iter().chain(rest.to_vec()).collect());
            }
            Some((name, behind)) if self.0.contains_key(name) => (name.as_str(), behind),
            // Help about the program itself.
            _ if matches!(rest, [only] if ["--help", "-h", "--version", "-V"].contains(&only.as_str())) =>
            {
                return Ok(arguments);
            }
            // `help`, or a word that is no command, which clap says best.
            Some((name, behind)) if !name.starts_with('-') => {
                let word = [program.clone(), name.clone()];
                return Ok(word.into_iter().chain(behind.to_vec()).collect());
            }
            _ => ("train", behind),
        };
        let known = &self.0[name];
        // What no command knows is kept, so that it is refused.
        let is_known = |(option, _): &(String, Vec<String>)| {
            name == "train" || known.contains_key(option) || !self.0["train"].contains_key(option)
        };
        let before = before.into_iter().filter(is_known);
        let before = before.flat_map(|(_, tokens)| tokens).collect();
        let options = match name {
            "train" => options::with_stored(before, behind, takes_value)?,
            _ => [before, behind.to_vec()].concat(),
        };
        let start = [program.clone(), name.to_string()];
        Ok(start.into_iter().chain(options).collect())
    }
}

impl Refusal {
    /// Prints help, or what is wrong in one line, and returns the exit code.
    pub fn tell(self) -> std::process::ExitCode {
        let error = match self {
            Self::Ours(error) => return super::refused(error),
            Self::Clap(answer) if !answer.use_stderr() => answer.exit(),
            Self::Clap(error) => error,
        };
        eprintln!("{} (see --help)", one_line(&error));
        std::process::ExitCode::from(2)
    }
}

fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut parts = text.split("\n\n");
    let reason = parts.next().unwrap_or_default();
    let tip = parts.find_map(|part| part.trim().strip_prefix("tip: "));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let tip = tip.map_or(String::new(), |tip| format!("; {}", words(tip)));
    format!("{}{tip}", words(reason))
}
