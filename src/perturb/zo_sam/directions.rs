//! The directions along which the loss is probed.

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::guide::orthonormal;
use super::{Guide, ZoSamConfig};
use crate::perturb::{Memory, Site};
use crate::tree::{DirectionDistribution, ParamVector};

/// Where the directions of a step come from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Directions {
    /// m independent draws in the whole live space: the paper's.
    #[default]
    Isotropic,
    /// m orthogonal draws in the whole live space, all of length 1. They are kept while a step
    /// lasts.
    Orthogonal,
    /// From earlier gradients. With m = 0 the forecast is used without a probe.
    Guided(Guide),
    /// One draw per parameter tensor, zero elsewhere: as many directions as tensors, whatever m.
    Blocks,
    /// Each coordinate of the parameters of some layers, by the layers' type names (`BatchNorm`):
    /// as many directions as numbers, whatever m. This is the coordinate-wise estimate (CGE), for
    /// small groups; other parameters stay where they are.
    Coordinates(Vec<String>),
}

impl ZoSamConfig {
    /// The directions of a step; one at a time, where they need not be kept.
    pub(crate) fn draws<'a>(
        &'a self,
        site: Site<'a>,
        memory: &Memory,
    ) -> Box<dyn Iterator<Item = ParamVector> + 'a> {
        let count = self.directions;
        let draws = move || (0..count.max(1)).map(move |index| self.drawn(site, index));
        match &self.family {
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
            Directions::Blocks => Box::new(self.blocks(site)),
            Directions::Coordinates(layers) => Box::new(coordinates(site, layers)),
        }
    }

    /// The weight `w` with which the mean of `w Σᵢ Δᵢ uᵢ` is the gradient.
    pub(crate) fn share(&self, site: Site<'_>) -> f64 {
        let m = self.directions.max(1) as f64;
        match &self.family {
            Directions::Isotropic => 1.0 / m,
            // The mean of Σ uᵢ uᵢᵀ over m of n orthonormal directions is m/n, and there are at most
            // n.
            Directions::Orthogonal => (self.components(site) as f64 / m).max(1.0),
            // A projection onto their span, which is no estimate without bias.
            Directions::Guided(_) => 1.0,
            Directions::Blocks | Directions::Coordinates(_) => 1.0,
        }
    }

    /// Whether the number of directions is not m.
    pub(super) fn is_a_basis(&self) -> bool {
        matches!(self.family, Directions::Blocks | Directions::Coordinates(_))
    }

    /// The number n of live weights in scope.
    fn components(&self, site: Site<'_>) -> usize {
        let leaves = site.in_scope(self.scope);
        let live = leaves.map(|leaf| site.masks.live(leaf.id).unwrap_or(leaf.len()));
        live.sum()
    }

    fn drawn(&self, site: Site<'_>, index: usize) -> ParamVector {
        let direction = site.direction(index as u64, self.distribution, self.scope);
        match self.distribution {
            // Norm √n, with n the number of its components.
            DirectionDistribution::Sphere => match direction.norm() {
                norm if norm > 0.0 => {
                    let radius = (self.components(site) as f64).sqrt();
                    direction.scaled(radius / norm)
                }
                _ => direction,
            },
            _ => direction,
        }
    }

    fn blocks<'a>(&'a self, site: Site<'a>) -> impl Iterator<Item = ParamVector> + 'a {
        let whole = self.drawn(site, 0);
        let ids = whole.ids().into_iter();
        ids.map(move |id| whole.clone().filter(|other| other == id))
    }
}

/// The unit vectors of some layers' live weights.
fn coordinates<'a>(site: Site<'a>, layers: &'a [String]) -> impl Iterator<Item = ParamVector> + 'a {
    let leaves = site.leaves.iter();
    let leaves = leaves.filter(|leaf| layers.contains(&leaf.layer));
    let values = leaves.filter_map(move |leaf| Some((leaf, site.weights.get(leaf.id)?)));
    values.flat_map(move |(leaf, value)| {
        let live = site.masks.live_set(leaf.id);
        let kind = (value.device(), value.dtype());
        let alive = move |i: &usize| live.as_ref().is_none_or(|live| live[*i]);
        (0..leaf.len()).filter(alive).map(move |i| {
            let mut values = vec![0.0f32; leaf.len()];
            values[i] = 1.0;
            let mut unit = ParamVector::default();
            let data = TensorData::new(values, [leaf.len()]);
            unit.push(leaf.id, Tensor::from_data(data, (&kind.0, kind.1)));
            unit
        })
    })
}
