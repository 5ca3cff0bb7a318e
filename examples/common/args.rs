//! The command line.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use zosam::masks::Execution;
use zosam::sparse::Granularity;

use super::sharpness::SharpnessArgs;

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

/// The options of all programs.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[arg(skip)]
    pub defaults: Defaults,
    /// Take options from a JSON file such as those in recipes/; options on the command line win.
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// The images: a sample of Fashion-MNIST is built in, CIFAR is read from --data.
    #[arg(long, value_enum, default_value_t = DatasetName::FashionMnist)]
    pub dataset: DatasetName,
    /// Folder of the data set (CIFAR: with cifar-10-batches-bin or cifar-100-binary; Fashion-MNIST: with the IDX files).
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Fetch the official archive of CIFAR-10 or CIFAR-100 into --data, or a cache folder, unless it is there (feature
    /// `network`).
    #[arg(long)]
    pub download: bool,
    /// Random changes of training images: none, a crop of the padded image and a flip, or DeiT's resized crop, flip and
    /// RandAugment.
    #[arg(long, value_enum, default_value_t = AugmentName::CropFlip)]
    pub augment: AugmentName,
    /// Alpha of mixup; DeiT's is 0.8.
    #[arg(long, value_name = "ALPHA", default_value_t = 0.0)]
    pub mixup: f64,
    /// Alpha of CutMix; DeiT's is 1.
    #[arg(long, value_name = "ALPHA", default_value_t = 0.0)]
    pub cutmix: f64,
    /// Chance by which a rectangle of an image is overwritten with noise; DeiT's is 0.25.
    #[arg(long, value_name = "CHANCE", default_value_t = 0.0)]
    pub random_erasing: f64,
    /// Share of the target that all classes divide; DeiT's is 0.1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub label_smoothing: f64,
    /// Times that an epoch shows each of the images that it comes to, augmented anew; DeiT's is 3.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub repeats: usize,
    /// Height and width that the images of a folder are made [default: resnet32 32, deit 224].
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<usize>,
    /// What is done with images of a folder that cannot be read: stop, or skip them with a warning.
    #[arg(long, value_enum, default_value_t = CorruptName::Stop)]
    pub corrupt_images: CorruptName,
    /// Sparse-training method [default: resnet32 rigl, deit svite].
    #[arg(long, value_enum)]
    pub method: Option<MethodName>,
    /// Share of dead weights [default: what N:M makes, or resnet32 0.9, deit 0.5].
    #[arg(long)]
    pub sparsity: Option<f64>,
    /// Units in which weights live and die: unstructured, N:M such as 2:4, OUTPUTSxINPUTS such as 4x4, or channel.
    /// Layers that do not consist of whole units stay unstructured.
    #[arg(long, default_value_t = Granularity::Unstructured)]
    pub granularity: Granularity,
    /// Density of the layers whose path matches a regular expression, as REGEX=VALUE; may be given several times.
    #[arg(long, value_name = "REGEX=VALUE", value_parser = density)]
    pub density: Vec<(String, f64)>,
    /// Density of each layer [default: the method's paper's].
    #[arg(long, value_enum)]
    pub distribution: Option<DistributionName>,
    /// Arithmetic of masked layers: auto (sparse where that was measured to be faster), dense or sparse.
    #[arg(long, default_value = "auto", value_name = "auto|dense|sparse")]
    pub execution: Execution,
    /// Print at the end which path each masked layer took, and how long its products took on average.
    #[arg(long)]
    pub layer_times: bool,
    /// Steps between changes of masks [default: the method's paper's, scaled to the run].
    #[arg(long, value_name = "STEPS")]
    pub update_every: Option<u64>,
    /// Share of live weights exchanged by the first change [default: the method's paper's].
    #[arg(long)]
    pub drop_fraction: Option<f64>,
    /// Lottery tickets: epochs after which weights are kept to rewind to.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub rewind_epochs: usize,
    /// Lottery tickets: share of the live weights that die after each level of --epochs epochs.
    #[arg(long, default_value_t = 0.2)]
    pub prune_rate: f64,
    /// Base optimizer [default: resnet32 sgd, deit adamw].
    #[arg(long, value_enum)]
    pub optimizer: Option<OptimizerName>,
    #[command(flatten)]
    pub sharpness: SharpnessArgs,
    /// Passes over the training images [default: resnet32 160, deit 300; 2 and 10 on the built-in images].
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Images per step [default: 32 on the built-in images, otherwise 128].
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Batches per step, whose gradients are averaged, each with a perturbation of its own.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub accumulate: usize,
    /// Scale gradients down whose norm, over the whole net, is larger than this.
    #[arg(long, value_name = "NORM")]
    pub clip_norm: Option<f64>,
    /// Keep and test an exponential moving average of the weights, with this share of the old average per step.
    #[arg(long, value_name = "DECAY")]
    pub average: Option<f64>,
    /// How the learning rate falls: along a cosine to 0, or to a tenth at half and at three quarters of training.
    #[arg(long, value_enum, default_value_t = ScheduleName::Cosine)]
    pub schedule: ScheduleName,
    /// Learning rate [default: sgd 0.1, adamw 0.001, deit on the built-in images 0.003].
    #[arg(long)]
    pub lr: Option<f64>,
    /// Share of the steps over which the learning rate rises from 0 [default: resnet32 0, deit 0.05].
    #[arg(long)]
    pub warmup: Option<f64>,
    /// Weight decay [default: 1e-4, adamw 0.05].
    #[arg(long)]
    pub weight_decay: Option<f64>,
    /// What decays: all, or the weights of layers without their biases, norms, tokens and position embeddings [default:
    /// resnet32 all, deit weights].
    #[arg(long, value_enum)]
    pub decay_of: Option<DecayName>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Use only the first N training images [default: 4000 of the built-in 6000, otherwise all].
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Use only the first N test images [default: all].
    #[arg(long, value_name = "N")]
    pub test_limit: Option<usize>,
    /// Test after every N epochs, and after the last.
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN)]
    pub evaluate_every: NonZeroUsize,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = DeviceName::Flex)]
    pub device: DeviceName,
    /// Threads that prepare batches.
    #[arg(long, default_value_t = 1)]
    pub workers: usize,
    /// Measurements beside training, columns of the metrics, separated by commas: cosine of the perturbation with the batch's
    /// gradient; large-cosine, with that of eight batches; rise of the loss along it; worst-rise of ten random points at its
    /// distance; noise, the gradient's norm and variance over eight batches; isotropic, cosines of estimates from 1, 4 and 16
    /// directions, on the live weights and on all.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT,...")]
    pub measure: Vec<MeasureName>,
    /// Steps between measurements.
    #[arg(long, value_name = "STEPS", default_value_t = const { NonZeroU64::new(25).unwrap() })]
    pub measure_every: NonZeroU64,
    /// Folder for config.json, metrics.jsonl, checkpoints, curves.svg, density.svg and model.safetensors.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Start from the weights of a model file: this crate's, timm's or torchvision's, safetensors or .pth.
    #[arg(long, value_name = "FILE")]
    pub finetune: Option<PathBuf>,
    /// Go on from the last whole checkpoint in --out, or start if there is none.
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Print one JSON object a line on standard output.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// Whether the images are those in the program: then the defaults make a run of two minutes.
    pub fn is_built_in(&self) -> bool {
        self.dataset == DatasetName::FashionMnist && self.data.is_none()
    }

    /// Images per step.
    pub fn batch_size(&self) -> usize {
        self.batch_size
            .unwrap_or(if self.is_built_in() { 32 } else { 128 })
    }

    /// Learning rate.
    pub fn lr(&self) -> f64 {
        self.lr.unwrap_or(match self.optimizer() {
            OptimizerName::Sgd => 0.1,
            OptimizerName::Adamw => self.defaults.adamw_lr[usize::from(!self.is_built_in())],
        })
    }

    /// Decay of weights.
    pub fn weight_decay(&self) -> f64 {
        self.weight_decay.unwrap_or(match self.optimizer() {
            OptimizerName::Sgd => 1e-4,
            OptimizerName::Adamw => 0.05,
        })
    }

    /// Whether biases, norms, tokens and position embeddings decay, too.
    pub fn decays_vectors(&self) -> bool {
        match self.decay_of {
            Some(of) => of == DecayName::All,
            None => self.defaults.decays_vectors,
        }
    }

    /// Share of dead weights.
    pub fn sparsity(&self) -> f64 {
        self.sparsity.unwrap_or(match self.granularity {
            Granularity::NOfM { live, of } if 0 < live && live < of => {
                1.0 - live as f64 / of as f64
            }
            _ => self.defaults.sparsity,
        })
    }

    /// The sparse-training method.
    pub fn method(&self) -> MethodName {
        self.method.unwrap_or(self.defaults.method)
    }

    /// The base optimizer.
    pub fn optimizer(&self) -> OptimizerName {
        self.optimizer.unwrap_or(self.defaults.optimizer)
    }

    /// Height and width that images of a folder are made.
    pub fn image_size(&self) -> usize {
        self.image_size.unwrap_or(self.defaults.image_size)
    }

    /// Passes over the training images.
    pub fn epochs(&self) -> usize {
        self.epochs
            .unwrap_or(self.defaults.epochs[usize::from(!self.is_built_in())])
    }

    /// Number of training images to use; `None` for all.
    pub fn limit(&self) -> Option<usize> {
        self.limit.or(self.is_built_in().then_some(4000))
    }
}

fn density(text: &str) -> Result<(String, f64), String> {
    let (pattern, value) = text.rsplit_once('=').ok_or("expected REGEX=VALUE")?;
    let value = value.parse().map_err(|error| format!("{value}: {error}"))?;
    Ok((pattern.to_string(), value))
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident),* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[value(rename_all = "kebab-case")]
        #[allow(missing_docs)]
        pub enum $name { $($variant),* }
    )*};
}

names! {
    AugmentName { None, CropFlip, Deit }
    CorruptName { Stop, Skip }
    DatasetName { FashionMnist, Cifar10, Cifar100, Folder }
    MethodName { Dense, Random, Magnitude, Snip, Grasp, Synflow, Lth, Gmp, Set, Dsr, Rigl, Mest, MestEms, Svite, Snfs, Topkast }
    DistributionName { Uniform, UniformPlus, Er, Erk }
    OptimizerName { Sgd, Adamw }
    DecayName { All, Weights }
    ScheduleName { Cosine, Step }
    SharpnessName { None, Sam, Asam, Gsam, Esam, Looksam, S2sam, Msam, Fsam, Wsam, FisherSam, ZoSam, Random, RandomSign }
    MeasureName { Cosine, LargeCosine, Rise, WorstRise, Noise, Isotropic }
    DirectionName { Isotropic, Orthogonal, Guided, Span, Blocks, Norms }
    DrawName { Gaussian, Rademacher, Sphere }
    SidesName { Two, One }
    ScopeName { All, Sparse }
    MemoryName { Both, Last, None }
    DeviceName { Flex, Ndarray, Wgpu, Vulkan, Cuda }
}
