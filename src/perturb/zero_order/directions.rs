//! The directions along which the loss is probed.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::guide::orthonormal;
use super::{Guide, ZeroOrder};
use crate::perturb::{Memory, Site};
use crate::tree::{self, DirectionDistribution, ParamVector};

/// Where the directions of a step come from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Directions {
    /// m independent draws in the whole live space: the paper's.
    #[default]
    Isotropic,
    /// m orthogonal draws in the whole live space, all of length 1. They are kept while a step lasts.
    Orthogonal,
    /// From earlier gradients. With m = 0 the forecast is taken unprobed.
    Guided(Guide),
    /// One draw per parameter tensor, zero elsewhere: as many directions as tensors, whatever m.
    Blocks,
    /// Each coordinate of the parameters of some layers, by the layers' type names (`BatchNorm`): as many directions as numbers, whatever m. The
    /// coordinate-wise estimate (CGE), for small groups; other parameters stay where they are.
    Coordinates(Vec<String>),
}

impl ZeroOrder {
    /// The directions of a step; one at a time, where they need not be kept.
    pub(crate) fn directions<'a, M: Module>(
        &'a self,
        model: &'a M,
        site: Site<'a>,
        memory: &Memory,
    ) -> Box<dyn Iterator<Item = ParamVector> + 'a> {
        let count = self.config.directions;
        let draws = move || (0..count.max(1)).map(move |index| self.drawn(model, site, index));
        match &self.config.family {
            Directions::Isotropic => Box::new(draws()),
            Directions::Orthogonal => {
                let live = draws().map(|direction| site.masks.gather(direction));
                let basis = orthonormal(live.collect()).into_iter();
                Box::new(basis.map(|live| site.masks.scatter(live)))
            }
            Directions::Guided(guide) => {
                match guide.directions(count, site, memory) {
                    // Nothing is known before the first step.
                    none if none.is_empty() => Box::new(draws()),
                    live => Box::new(live.into_iter().map(|live| site.masks.scatter(live))),
                }
            }
            Directions::Blocks => Box::new(self.blocks(model, site)),
            Directions::Coordinates(layers) => Box::new(coordinates(model, site, layers)),
        }
    }

    fn drawn<M: Module>(&self, model: &M, site: Site<'_>, index: usize) -> ParamVector {
        let config = &self.config;
        let direction = site.direction(model, index as u64, config.distribution, config.scope);
        match config.distribution {
            DirectionDistribution::Sphere => to_sphere(direction, site),
            _ => direction,
        }
    }

    fn blocks<'a, M: Module>(
        &'a self,
        model: &'a M,
        site: Site<'a>,
    ) -> impl Iterator<Item = ParamVector> + 'a {
        let whole = self.drawn(model, site, 0);
        let ids: Vec<_> = whole.iter().map(|(id, _)| id).collect();
        ids.into_iter()
            .map(move |id| whole.clone().filter(|other| other == id))
    }
}

/// The unit vectors of some layers' live weights.
fn coordinates<'a, M: Module>(
    model: &M,
    site: Site<'a>,
    layers: &'a [String],
) -> impl Iterator<Item = ParamVector> + 'a {
    let device = tree::device(model).unwrap_or_default().without_autodiff();
    let leaves = site.leaves.iter();
    let leaves = leaves.filter(|leaf| layers.contains(&leaf.layer));
    leaves.flat_map(move |leaf| {
        let live = site.masks.live_set(leaf.id);
        let device = device.clone();
        let alive = move |i: &usize| live.as_ref().is_none_or(|live| live[*i]);
        (0..leaf.len()).filter(alive).map(move |i| {
            let mut values = vec![0.0f32; leaf.len()];
            values[i] = 1.0;
            let mut unit = ParamVector::default();
            let data = TensorData::new(values, [leaf.len()]);
            unit.push(leaf.id, Tensor::from_data(data, &device));
            unit
        })
    })
}

/// Scales a Gaussian direction to norm √d, with d the number of perturbed components.
fn to_sphere(direction: ParamVector, site: Site<'_>) -> ParamVector {
    let norm = direction.norm();
    let components: usize = direction
        .iter()
        .map(|(id, tensor)| site.masks.live(id).unwrap_or(tensor.dims()[0]))
        .sum();
    match norm > 0.0 {
        true => direction.scaled((components as f64).sqrt() / norm),
        false => direction,
    }
}
