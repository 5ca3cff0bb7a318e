//! Measurements beside training: each is a column of the metrics, a mean over the steps at which it was made.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use zosam::ZoSamConfig;
use zosam::analysis::{alignment, gradient_noise, rise, worst_rise};
use zosam::masks::{Execution, Masks};
use zosam::objective::{Objective, Offset};
use zosam::perturb::{Memory, Perturbation, Site, ZeroOrderMemory};
use zosam::tree::{self, ParamVector};

use super::Classifier;
use super::args::MeasureName;
use super::batch::Tensors;

/// Batches of the large-batch gradient and of the gradient's variance.
pub const BATCHES: usize = 8;
/// Random directions of the worst rise.
const DRAWS: u64 = 5;
/// Numbers of directions of isotropic estimates.
const DIRECTIONS: [usize; 3] = [1, 4, 16];

/// Sums and counts by column.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sums(BTreeMap<String, (f64, u64)>);

impl Sums {
    fn add(&mut self, column: impl Into<String>, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            let (sum, count) = self.0.entry(column.into()).or_default();
            *sum += value;
            *count += 1;
        }
    }

    /// The means.
    pub fn means(self) -> BTreeMap<String, f64> {
        let means = self.0.into_iter();
        means
            .map(|(column, (sum, count))| (column, sum / count as f64))
            .collect()
    }
}

/// A step that is measured.
pub struct Measured<'a, M> {
    /// The model before it, and its masks.
    pub model: &'a M,
    pub masks: &'a Masks,
    /// Its last batch, and the perturbation there.
    pub batch: &'a Tensors,
    pub offset: Option<&'a Offset>,
    /// Other batches with hard labels, as many as [`BATCHES`].
    pub others: &'a [Tensors],
    pub seed: u64,
    pub step: u64,
}

impl<M: Classifier> Measured<'_, M> {
    /// Makes the measurements that are asked for. Those of `ε` are left out where there is none.
    pub fn add(&self, wanted: &[MeasureName], sums: &mut Sums) -> Result<()> {
        let all = || self.add_all(wanted, sums);
        self.masks.run(Execution::Auto, all)
    }

    fn add_all(&self, wanted: &[MeasureName], sums: &mut Sums) -> Result<()> {
        let Self {
            model,
            masks,
            batch,
            ..
        } = *self;
        for what in wanted {
            match (what, self.offset) {
                (MeasureName::Cosine, Some(offset)) => {
                    sums.add("cosine", alignment(model, offset, masks, batch));
                }
                (MeasureName::LargeCosine, Some(offset)) => {
                    let (epsilon, large) = (offset.vector(), self.large_batch_gradient());
                    let cosine = epsilon.dot(&large) / (epsilon.norm() * large.norm());
                    sums.add("large_cosine", Some(cosine));
                }
                (MeasureName::Rise, Some(offset)) => {
                    sums.add("rise", Some(rise(model, offset, batch)));
                }
                (MeasureName::WorstRise, Some(offset)) => {
                    let rho = offset.vector().norm();
                    let worst = worst_rise(model, masks, rho, DRAWS, self.seed, batch);
                    sums.add("worst_rise", Some(worst));
                }
                (MeasureName::Noise, _) => {
                    let noise = gradient_noise(model, masks, self.others);
                    sums.add("gradient_norm", Some(noise.norm));
                    sums.add("gradient_variance", Some(noise.variance));
                }
                (MeasureName::Isotropic, _) => {
                    for m in DIRECTIONS {
                        sums.add(format!("isotropic_{m}"), self.isotropic(m, masks)?);
                        let unmasked = self.isotropic(m, &Masks::dense())?;
                        sums.add(format!("isotropic_{m}_unmasked"), unmasked);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn large_batch_gradient(&self) -> ParamVector {
        let gradients = self.others.iter().map(|batch| {
            let gradient = Objective::new(self.model, batch, 0).gradient(None).vector;
            self.masks.project(gradient)
        });
        let sum = gradients.reduce(|sum, gradient| sum.add_scaled(&gradient, 1.0));
        sum.unwrap_or_default()
    }

    /// The cosine that an estimate from `m` isotropic directions has with the gradient. With other masks than the model's, none say,
    /// directions, estimate and gradient are those of the places that these masks let live.
    fn isotropic(&self, m: usize, masks: &Masks) -> Result<Option<f64>> {
        let estimator = ZoSamConfig::new()
            .with_directions(m)
            .with_memory(ZeroOrderMemory::None);
        let (leaves, weights) = (tree::leaves(self.model), tree::values(self.model));
        let site = Site {
            leaves: &leaves,
            weights: &weights,
            masks,
            seed: self.seed,
            step: self.step,
            lr: None,
            strength: 1.0,
        };
        let mut objective = Objective::new(self.model, self.batch, 0);
        let ascend = || estimator.ascend(&mut objective, site, &Memory::default());
        let ascent = masks.run(Execution::Auto, ascend);
        let cosine = |offset| alignment(self.model, &offset, masks, self.batch);
        Ok(ascent.offset.and_then(cosine))
    }
}
