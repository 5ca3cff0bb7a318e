//! The measurements of one model.

use std::fmt::{self, Display};

use anyhow::{Result, ensure};
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};
use zosam::analysis::{
    GradientNoise, Landscape, LandscapeConfig, RiseProfile, Spectrum, SpectrumConfig,
    filter_normalised, gradient_noise, rise_profile,
};
use zosam::data::Batch;
use zosam::masks::Execution;
use zosam::sparse::{Classification, Evidence};

use super::images::Images;
use crate::common::file::Opened;
use crate::common::{Classifier, Network};

/// Radii of the rises, in units of `--rho`.
const RADII: [f64; 8] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0];

/// What is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, clap::Args)]
#[command(next_help_heading = "Measurement")]
pub struct ProbeArgs {
    /// The first N training images.
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub images: usize,
    /// Images of a batch; the Hessian and the rises are of the first batch, with its statistics.
    #[arg(long, value_name = "N", default_value_t = 128, hide_short_help = true)]
    pub batch_size: usize,
    /// Radius of the circle, and unit of distances.
    #[arg(long, default_value_t = 0.05)]
    pub rho: f64,
    /// Points of the landscape along either direction.
    #[arg(long, value_name = "N", default_value_t = 21)]
    pub points: usize,
    /// How far it reaches, in lengths of the model's weights.
    #[arg(long, value_name = "LENGTHS", default_value_t = 0.5)]
    pub reach: f64,
    /// Draw the landscape with the statistics of batches instead of the running ones.
    #[arg(long, hide_short_help = true)]
    pub batch_statistics: bool,
    /// Random directions of the rises.
    #[arg(long, value_name = "N", default_value_t = 5, hide_short_help = true)]
    pub draws: u64,
    /// Random vectors that the Hessian is multiplied with.
    #[arg(long, value_name = "N", default_value_t = 2, hide_short_help = true)]
    pub probes: u64,
    /// Products for each of them.
    #[arg(long, value_name = "N", default_value_t = 30, hide_short_help = true)]
    pub steps: usize,
    /// Seed of all directions.
    #[arg(long, default_value_t = 0, hide_short_help = true)]
    pub seed: u64,
}

impl ProbeArgs {
    /// For a look at some images in one batch.
    pub fn few(images: usize) -> Self {
        Self {
            images,
            batch_size: images,
            rho: 1.0,
            points: 2,
            reach: 1.0,
            batch_statistics: false,
            draws: 0,
            probes: 1,
            steps: 2,
            seed: 0,
        }
    }
}

/// What is known of the loss around a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Portrait {
    pub name: String,
    pub args: ProbeArgs,
    /// SHA-256 of the model file.
    pub file: String,
    /// With running statistics, unless `--batch-statistics` was given.
    pub landscape: Landscape,
    /// The share of wrong answers along the landscape's first direction.
    pub wrong: Vec<f64>,
    /// Of the Hessian of the loss on the first batch, with its statistics, as in a step of training.
    pub spectrum: Spectrum,
    /// On the first batch, with its statistics.
    pub rises: RiseProfile,
    /// Over the batches.
    pub noise: GradientNoise,
    pub test_accuracy: Option<f64>,
    pub test_loss: Option<f64>,
}

type Tensors = (Tensor<4>, Tensor<1, Int>);

impl Portrait {
    /// Measures a model on batches of training images.
    pub fn of<N: Network>(
        opened: &Opened<N>,
        batches: &[Batch],
        args: ProbeArgs,
        name: String,
    ) -> Result<Self> {
        ensure!(
            args.rho.is_finite() && args.rho > 0.0,
            "--rho is {}: it must be finite and greater than 0",
            args.rho
        );
        let measure = || Self::measured(opened, batches, args, name);
        opened.masks.run(Execution::Auto, measure)
    }

    fn measured<N: Network>(
        opened: &Opened<N>,
        batches: &[Batch],
        args: ProbeArgs,
        name: String,
    ) -> Result<Self> {
        let (model, masks) = (&opened.model, &opened.masks);
        let recording = opened.device.clone().autodiff();
        let recorded = batches.iter().map(|batch| batch.to_tensors(&recording));
        let recorded: Vec<Tensors> = recorded.collect();
        let training = model.clone().train();

        let plane = LandscapeConfig::new()
            .with_points(args.points)
            .with_reach(args.reach);
        let directions = [0, 1].map(|index| filter_normalised(model, masks, args.seed, index));
        let loss = |batches| move |model: &N::Model| mean(model, batches, loss_of);
        let (landscape, wrong) = match args.batch_statistics {
            false => {
                let images = Images::new(model, batches, &opened.device);
                let (loss, wrong) = (
                    |model: &_| images.loss(model),
                    |model: &_| images.wrong(model),
                );
                (
                    plane.measure(model, &directions, loss)?,
                    plane.slice(model, &directions[0], wrong)?,
                )
            }
            true => {
                let wrong = |model: &N::Model| mean(model, &recorded, wrong_of);
                (
                    plane.measure(&training, &directions, loss(&recorded))?,
                    plane.slice(&training, &directions[0], wrong)?,
                )
            }
        };
        let evidence = Classification::new([recorded[0].clone()], N::Model::logits)
            .with_tangent(N::Model::logits_tangent);
        let spectrum = SpectrumConfig::new()
            .with_probes(args.probes)
            .with_steps(args.steps)
            .with_seed(args.seed);
        let spectrum = spectrum.measure(&training, masks, |vector| {
            evidence.hessian_product(&training, vector, 1.0, args.seed)
        })?;
        let radii = RADII.map(|radius| radius * args.rho);
        let first = loss(&recorded[..1]);
        let rises = rise_profile(&training, masks, &radii, args.draws, args.seed, first);
        let losses = recorded.chunks(1).map(loss);
        let result = |name| opened.card.as_ref()?.results().get(name).copied();
        Ok(Self {
            name,
            file: String::new(),
            landscape,
            wrong,
            spectrum,
            rises,
            noise: gradient_noise(&training, masks, losses),
            test_accuracy: result("test accuracy"),
            test_loss: result("test loss"),
            args,
        })
    }
}

fn loss_of<M: Classifier>(model: &M, (images, labels): &Tensors) -> Tensor<1> {
    model.loss(images.clone(), labels.clone()).0
}

fn wrong_of<M: Classifier>(model: &M, (images, labels): &Tensors) -> Tensor<1> {
    let answers = model.logits(images.clone()).argmax(1).flatten::<1>(0, 1);
    answers.not_equal(labels.clone()).float().mean()
}

/// The mean over batches of what is the mean of each.
fn mean<M>(model: &M, batches: &[Tensors], of: impl Fn(&M, &Tensors) -> Tensor<1>) -> Tensor<1> {
    let size = |(_, labels): &Tensors| labels.dims()[0] as f64;
    let all: f64 = batches.iter().map(size).sum();
    let parts = batches
        .iter()
        .map(|batch| of(model, batch) * (size(batch) / all));
    parts
        .reduce(|sum, part| sum + part)
        .expect("there is an image")
}

impl Display for Portrait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spectrum {
            largest,
            smallest,
            trace,
            weights,
            ..
        } = &self.spectrum;
        let rho = self.args.rho;
        let at_rho = RADII.iter().position(|radius| *radius == 1.0);
        let place = at_rho.expect("one of the radii is ρ");
        let rises = &self.rises;
        writeln!(f, "live weights                {weights}")?;
        writeln!(
            f,
            "largest eigenvalue          {:.4} ± {:.4}",
            largest.value, largest.residual
        )?;
        writeln!(
            f,
            "smallest eigenvalue         {:.4} ± {:.4}",
            smallest.value, smallest.residual
        )?;
        writeln!(
            f,
            "trace                       {:.2} ± {:.2}",
            trace.mean, trace.standard_error
        )?;
        writeln!(
            f,
            "rise at ρ = {rho}, along the gradient    {:.5}",
            rises.gradient[place]
        )?;
        writeln!(
            f,
            "  along a random direction, sign measured  {:.2e}",
            rises.measured_sign[place]
        )?;
        writeln!(
            f,
            "  along a random direction, either sign    {:.2e}",
            rises.random_sign[place]
        )?;
        let noise = self.noise.variance / self.noise.norm.powi(2);
        writeln!(
            f,
            "variance of the gradient over batches, relative to its square  {noise:.2}"
        )
    }
}
