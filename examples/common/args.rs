//! The command line.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use super::names::*;
use super::sharpness::SharpnessArgs;
pub use super::sparse_args::SparseArgs;

/// What each program has its own defaults for.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    pub method: MethodName,
    pub sparsity: f64,
    pub optimizer: OptimizerName,
    /// On the built-in images, and on others.
    pub epochs: [usize; 2],
    /// AdamW's learning rate on the built-in images, and on others.
    pub adamw_lr: [f64; 2],
    /// Share of the steps over which the learning rate rises.
    pub warmup: f64,
    /// Whether biases, norms, tokens and position embeddings decay, too.
    pub decays_vectors: bool,
    /// Height and width that images of a folder are made.
    pub image_size: usize,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            method: MethodName::Dense,
            sparsity: 0.9,
            optimizer: OptimizerName::Sgd,
            epochs: [1, 1],
            adamw_lr: [1e-3, 1e-3],
            warmup: 0.0,
            decays_vectors: true,
            image_size: 32,
        }
    }
}

/// The options of training.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[arg(skip)]
    pub defaults: Defaults,
    /// The run's options as they were given.
    #[arg(skip)]
    pub options: Vec<String>,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub sparse: SparseArgs,
    #[command(flatten)]
    pub sharpness: SharpnessArgs,
    #[command(flatten)]
    pub fit: FitArgs,
    #[command(flatten)]
    pub augment: AugmentArgs,
    #[command(flatten)]
    pub watch: WatchArgs,
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// Where a run is kept, and what it begins with.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Run")]
pub struct RunArgs {
    /// Folder of the run: settings, metrics, checkpoints, pictures, model.
    ///
    /// It gets config.json, options.json, metrics.jsonl, metrics.csv, checkpoints, curves.svg, density.svg and model.safetensors.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on from the last whole checkpoint in --out, or start if there is none.
    ///
    /// Options are those of the run; they need not be repeated.
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Train the finished run in --out for N more epochs.
    ///
    /// The learning rate begins again, at that of the run or at --lr, and falls along the schedule over these epochs. The optimizer goes on with its
    /// state, and the method with its masks.
    #[arg(long, value_name = "N", requires = "out", conflicts_with = "resume")]
    pub extend: Option<NonZeroUsize>,
    /// Start from a model file, sparse or dense: this crate's, or PyTorch's.
    ///
    /// Safetensors or .pth. A file that says what it is of needs no options of the network; the classifier starts afresh for other classes. A sparse
    /// file's masks are kept (--method keep) unless another method is asked for. Optimizer and schedules start afresh.
    #[arg(long, value_name = "FILE")]
    pub finetune: Option<PathBuf>,
    /// Take options from a JSON file such as those in recipes/.
    ///
    /// Options on the command line win.
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// The images.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Images")]
pub struct DataArgs {
    /// The images [default: what --data holds, else a built-in sample of Fashion-MNIST].
    ///
    /// CIFAR is read from --data or fetched by --download; folder is --data with train/CLASS/* and val/CLASS/*.
    #[arg(long, value_enum)]
    pub dataset: Option<DatasetName>,
    /// Folder of the data set.
    ///
    /// With cifar-10-batches-bin, cifar-100-binary, IDX files, or train and val.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Fetch CIFAR-10 or CIFAR-100 into --data, or a cache folder (feature `network`).
    #[arg(long)]
    pub download: bool,
    /// Height and width that the images of a folder are made [default: the file's; resnet32 32, deit 224].
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<usize>,
    /// Use only the first N training images [default: all].
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Use only the first N test images [default: all].
    #[arg(long, value_name = "N")]
    pub test_limit: Option<usize>,
    /// What is done with images that cannot be read: stop, or skip with a warning.
    #[arg(long, value_enum, default_value_t = CorruptName::Stop, hide_short_help = true)]
    pub corrupt_images: CorruptName,
    /// Turn the images of a folder as their camera was held.
    ///
    /// By default they are as they are stored, as for torchvision. `predict` always turns them.
    #[arg(long, hide_short_help = true)]
    pub exif_orientation: bool,
    /// Threads that prepare batches.
    #[arg(long, default_value_t = 1, hide_short_help = true)]
    pub workers: usize,
}

/// How weights are fitted.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Training")]
pub struct FitArgs {
    /// Passes over the training images [default: resnet32 160, deit 300; 2 and 10 on the built-in images].
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Images per step [default: 32 on the built-in images, else 128].
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Base optimizer [default: resnet32 sgd, deit adamw].
    #[arg(long, value_enum)]
    pub optimizer: Option<OptimizerName>,
    /// Learning rate [default: sgd 0.1, adamw 0.001, deit on the built-in images 0.003].
    #[arg(long)]
    pub lr: Option<f64>,
    /// How the learning rate falls: along a cosine to 0, or to a tenth at half and at three quarters.
    #[arg(long, value_enum, default_value_t = ScheduleName::Cosine)]
    pub schedule: ScheduleName,
    /// Share of the steps over which the learning rate rises from 0 [default: resnet32 0, deit 0.05].
    #[arg(long, hide_short_help = true)]
    pub warmup: Option<f64>,
    /// Weight decay [default: 1e-4, adamw 0.05].
    #[arg(long)]
    pub weight_decay: Option<f64>,
    /// What decays [default: resnet32 all, deit weights].
    ///
    /// All, or the weights of layers without their biases, norms, tokens and position embeddings.
    #[arg(long, value_enum, hide_short_help = true)]
    pub decay_of: Option<DecayName>,
    /// Batches per step, whose gradients are averaged, each with a perturbation of its own.
    #[arg(long, value_name = "N", default_value_t = 1, hide_short_help = true)]
    pub accumulate: usize,
    /// Scale gradients down whose norm, over the whole net, is larger than this.
    #[arg(long, value_name = "NORM", hide_short_help = true)]
    pub clip_norm: Option<f64>,
    /// Keep and test an exponential moving average of the weights.
    ///
    /// With this share of the old average per step.
    #[arg(long, value_name = "DECAY", hide_short_help = true)]
    pub average: Option<f64>,
}

/// What is random in the training images.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Augmentation")]
pub struct AugmentArgs {
    /// Random changes of training images.
    ///
    /// None, a crop of the padded image and a flip, or DeiT's resized crop, flip and RandAugment.
    #[arg(long, value_enum, default_value_t = AugmentName::CropFlip, hide_short_help = true)]
    pub augment: AugmentName,
    /// Alpha of mixup; DeiT's is 0.8.
    #[arg(
        long,
        value_name = "ALPHA",
        default_value_t = 0.0,
        hide_short_help = true
    )]
    pub mixup: f64,
    /// Alpha of CutMix; DeiT's is 1.
    #[arg(
        long,
        value_name = "ALPHA",
        default_value_t = 0.0,
        hide_short_help = true
    )]
    pub cutmix: f64,
    /// Chance by which a rectangle of an image is overwritten with noise; DeiT's is 0.25.
    #[arg(
        long,
        value_name = "CHANCE",
        default_value_t = 0.0,
        hide_short_help = true
    )]
    pub random_erasing: f64,
    /// Share of the target that all classes divide; DeiT's is 0.1.
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        hide_short_help = true
    )]
    pub label_smoothing: f64,
    /// Times that an epoch shows each of the images that it comes to, augmented anew; DeiT's is 3.
    #[arg(long, value_name = "N", default_value_t = 1, hide_short_help = true)]
    pub repeats: usize,
}

/// What is looked at while training.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Measurement")]
pub struct WatchArgs {
    /// Test after every N epochs, and after the last.
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN, hide_short_help = true)]
    pub evaluate_every: NonZeroUsize,
    /// Measurements beside training, columns of the metrics, separated by commas.
    ///
    /// cosine of the perturbation with the batch's gradient; large-cosine, with that of eight batches; rise of the loss along it; worst-rise of ten
    /// random points at its distance; noise, the gradient's norm and variance over eight batches; isotropic, cosines of estimates from 1, 4 and 16
    /// directions, on the live weights and on all.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "WHAT,...",
        hide_short_help = true
    )]
    pub measure: Vec<MeasureName>,
    /// Steps between measurements.
    #[arg(
        long,
        value_name = "STEPS",
        default_value_t = const { NonZeroU64::new(25).unwrap() },
        hide_short_help = true
    )]
    pub measure_every: NonZeroU64,
    /// Print at the end which path each masked layer took, and how long its products took on average.
    #[arg(long, hide_short_help = true)]
    pub layer_times: bool,
}

/// Where to compute, and what to print.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Program")]
pub struct MachineArgs {
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = DeviceName::Flex, hide_short_help = true)]
    pub device: DeviceName,
    /// Print one JSON object a line on standard output.
    #[arg(long)]
    pub json: bool,
}

impl DataArgs {
    /// The images: those asked for, else those that `--data` holds, else those built in.
    pub fn dataset(&self) -> DatasetName {
        let held = || self.data.as_deref().and_then(DatasetName::of_folder);
        self.dataset
            .or_else(held)
            .unwrap_or(DatasetName::FashionMnist)
    }

    /// Whether the images are those in the program: then the defaults make a run of minutes.
    pub fn is_built_in(&self) -> bool {
        self.dataset() == DatasetName::FashionMnist && self.data.is_none()
    }

    /// Number of training images to use; `None` for all.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }
}

impl DatasetName {
    /// What a folder holds, if that can be told.
    pub fn of_folder(folder: &Path) -> Option<Self> {
        let holds = |name: &str| folder.join(name).exists();
        match () {
            () if holds("cifar-10-batches-bin") => Some(Self::Cifar10),
            () if holds("cifar-100-binary") => Some(Self::Cifar100),
            () if holds("train") || holds("val") => Some(Self::Folder),
            () => None,
        }
    }

    /// The set of a name, as [`name`](Self::name) gives it.
    pub fn named(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }

    /// Its name on the command line and in files.
    pub fn name(self) -> String {
        name_of(&self)
    }
}

impl MethodName {
    /// Its name on the command line.
    pub fn name(self) -> String {
        name_of(&self)
    }
}

/// The name of a value on the command line.
fn name_of(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or(String::new(), |value| value.get_name().to_string())
}

impl Args {
    /// What a default for the built-in images, and for others, is here.
    fn of<T: Copy>(&self, defaults: [T; 2]) -> T {
        defaults[usize::from(!self.data.is_built_in())]
    }

    /// Adds an option to those of the run: one that a file decided, and that has to be the same when the run goes on.
    pub fn settle(&mut self, option: &str, value: &str) {
        self.options
            .extend([format!("--{option}"), value.to_string()]);
    }

    /// Images per step.
    pub fn batch_size(&self) -> usize {
        self.fit.batch_size.unwrap_or(self.of([32, 128]))
    }

    /// Learning rate.
    pub fn lr(&self) -> f64 {
        self.fit.lr.unwrap_or(match self.optimizer() {
            OptimizerName::Sgd => 0.1,
            OptimizerName::Adamw => self.of(self.defaults.adamw_lr),
        })
    }

    /// Decay of weights.
    pub fn weight_decay(&self) -> f64 {
        self.fit.weight_decay.unwrap_or(match self.optimizer() {
            OptimizerName::Sgd => 1e-4,
            OptimizerName::Adamw => 0.05,
        })
    }

    /// Whether biases, norms, tokens and position embeddings decay, too.
    pub fn decays_vectors(&self) -> bool {
        match self.fit.decay_of {
            Some(of) => of == DecayName::All,
            None => self.defaults.decays_vectors,
        }
    }

    /// Share of dead weights.
    pub fn sparsity(&self) -> f64 {
        self.sparse.sparsity(self.defaults.sparsity)
    }

    /// The sparse-training method.
    pub fn method(&self) -> MethodName {
        self.sparse.method.unwrap_or(self.defaults.method)
    }

    /// The base optimizer.
    pub fn optimizer(&self) -> OptimizerName {
        self.fit.optimizer.unwrap_or(self.defaults.optimizer)
    }

    /// Passes over the training images.
    pub fn epochs(&self) -> usize {
        self.fit.epochs.unwrap_or(self.of(self.defaults.epochs))
    }
}

names! {
    AugmentName { None, CropFlip, Deit }
    CorruptName { Stop, Skip }
    DatasetName { FashionMnist, Cifar10, Cifar100, Folder }
    OptimizerName { Sgd, Adamw }
    DecayName { All, Weights }
    MeasureName { Cosine, LargeCosine, Rise, WorstRise, Noise, Isotropic }
}
