//! From the command line to a run.

use std::sync::Arc;

use anyhow::{Result, bail};
use zosam::data::{Loader, LoaderConfig};
use zosam::model_file::read_card;

use super::args::{Args, AugmentName, OptimizerName};
use super::augment::Augmented;
use super::config::{Config, device};
use super::dataset::{self, Data};
use super::output::Output;
use super::run::Run;
use super::{Network, Program, Task, cli, file, folder, interrupt, last_batch, start, uses};

/// Trains as the arguments say.
pub fn run<P: Program>(options: P::Options, mut args: Args) -> Result<()> {
    if args.epochs() == 0 || args.batch_size() == 0 || args.fit.accumulate == 0 {
        bail!("--epochs, --batch-size and --accumulate must be at least 1");
    }
    let card = match &args.run.finetune {
        Some(path) => read_card(path)?,
        None => None,
    };
    if let Some(card) = &card {
        file::take_dataset(&mut args.data, card);
    }
    let whole = args.augment.augment == AugmentName::Deit;
    let data = dataset::for_training(&args.data, card.as_ref(), &args.defaults, whole)?;
    let (shape, classes) = (data.shape, data.classes.len());
    match card {
        Some(card) => P::by_card(&options, &card, Training { args, data }),
        None => P::by_options(&options, shape, classes, Training { args, data }),
    }
}

/// Trains as the words of a command line say.
pub fn words<P: Program>(words: Vec<String>) -> Result<()> {
    let train = cli::train::<P>(words)?;
    run::<P>(train.network, train.args)
}

struct Training {
    args: Args,
    data: Data,
}

impl Task for Training {
    fn run<C: Network>(self, config: C) -> Result<()> {
        let Self { mut args, data } = self;
        let model = config.fitted(data.shape, data.classes.len());
        let device = device(args.machine.device)?.autodiff();
        let train = train_loader(&args, &data)?;
        let first = model.init(&device)?;
        let uses = uses(&first, data.shape)?;
        let train = last_batch::without_single_values(train, &first, &uses)?;
        let test = dataset::test_loader(&args.data, Arc::clone(&data.test), &data.normalization)?;
        let start = match args.run.finetune.clone() {
            Some(path) => Some(start::read(
                &path,
                &model,
                &data.classes,
                &mut args,
                &device,
            )?),
            None => None,
        };
        let mut config = Config::new(&args, model, &data, train.len())?;
        let folder = folder::open(&args, &mut config)?;
        let stop = interrupt::flag()?;
        let run = Run {
            output: Output::new(args.machine.json, args.run.out.clone()),
            device,
            args,
            config,
            train,
            test,
            uses,
            classes: data.classes,
            start,
            folder,
            stop,
        };
        let sgd = run.config.clone();
        match run.config.optimizer {
            OptimizerName::Sgd => run.with_optimizer(|decay| sgd.sgd(decay)),
            OptimizerName::Adamw => run.with_optimizer(|decay| sgd.adamw(decay)),
        }
    }
}

/// Shuffled, augmented batches.
fn train_loader(args: &Args, data: &Data) -> Result<Loader> {
    let [_, height, width] = data.shape;
    let augmented = Augmented::new(&args.augment, args.data.dataset(), [height, width]);
    let config = augmented.of(LoaderConfig {
        batch_size: args.batch_size(),
        seed: args.run.seed,
        workers: args.data.workers,
        normalization: Some(data.normalization.clone()),
        corrupt_images: dataset::corrupt_images(&args.data),
        ..LoaderConfig::default()
    });
    Ok(Loader::new(Arc::clone(&data.train), config)?)
}
