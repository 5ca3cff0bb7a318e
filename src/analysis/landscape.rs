//! The loss around a trained model.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::error::{Result, check};
use crate::masks::Masks;
use crate::objective::{BatchLoss, Objective, Offset};
use crate::tree::{self, DirectionDistribution, DirectionKey, Leaf, ParamVector};

/// A random direction whose parts are as long as what they are added to.
///
/// For each output unit of a weight (a filter) `d ← d ‖w‖/‖d‖`, both over the unit's *live* weights;
/// biases and parameters of norms have no part in it. Filters of a ReLU net may be scaled against each
/// other without changing the function, so that a direction without this shows sharpness where there
/// is none. Dead weights stay zero: a sparse minimum that is drawn in the space of the dense net looks
/// sharper than it is.
///
/// Directions are told apart by `seed` and `index` and drawn by the parameters' paths: models of one
/// architecture, whose pictures are to be compared, get the same draws.
///
/// Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018 (arXiv 1712.09913), there
/// over all weights.
pub fn filter_normalised<M: Module>(
    model: &M,
    masks: &Masks,
    seed: u64,
    index: u64,
) -> ParamVector {
    let leaves = tree::trained(model);
    let device = tree::device(model).unwrap_or_default();
    let key = DirectionKey {
        seed,
        step: 0,
        index,
    };
    let drawn = tree::draw(&leaves, key, DirectionDistribution::Gaussian, &device);
    let (drawn, weights) = (
        masks.project(drawn),
        masks.project(tree::float_values(model)),
    );
    drawn.map(|id, component| {
        let leaf = leaves.iter().find(|leaf| leaf.id == id);
        let weight = weights.get(id).filter(|_| leaf.is_some_and(is_weight));
        match (leaf, weight) {
            (Some(leaf), Some(weight)) => by_filter(leaf, component, &weight),
            _ => component.zeros_like(),
        }
    })
}

fn is_weight(leaf: &Leaf) -> bool {
    leaf.shape.len() > 1
}

/// A direction whose filters are as long as the weight's.
fn by_filter(leaf: &Leaf, direction: Tensor<1>, weight: &Tensor<1>) -> Tensor<1> {
    let axes = leaf.axes();
    let host = |tensor: &Tensor<1>| tensor.to_data().iter::<f64>().collect::<Vec<_>>();
    let (mut numbers, weight) = (host(&direction), host(weight));
    let mut lengths = vec![(0.0, 0.0); axes.outputs];
    for (position, (number, weight)) in numbers.iter().zip(&weight).enumerate() {
        let (of_direction, of_weight) = &mut lengths[axes.place(position).0];
        *of_direction += number * number;
        *of_weight += weight * weight;
    }
    for (position, number) in numbers.iter_mut().enumerate() {
        let (of_direction, of_weight) = lengths[axes.place(position).0];
        *number *= match of_direction > 0.0 {
            true => f64::sqrt(of_weight / of_direction),
            false => 0.0,
        };
    }
    let count = [numbers.len()];
    let numbers: Vec<f32> = numbers.into_iter().map(|number| number as f32).collect();
    let numbers = Tensor::<1>::from_data(TensorData::new(numbers, count), &direction.device());
    numbers.cast(direction.dtype())
}

/// Which points of a plane are evaluated.
///
/// | field | default | range |
/// |---|---|---|
/// | `points` | 21 | ≥ 2, per axis |
/// | `reach` | 1 | finite, > 0: the plane goes from −`reach` to `reach` along both directions |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LandscapeConfig {
    /// Points per axis.
    pub points: usize,
    /// Largest multiple of either direction.
    pub reach: f64,
}

impl Default for LandscapeConfig {
    fn default() -> Self {
        Self {
            points: 21,
            reach: 1.0,
        }
    }
}

/// Losses on a grid in the plane `θ + x a + y b`, and how far its points are from `θ`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Landscape {
    /// The multiples of either direction, ascending.
    pub axis: Vec<f64>,
    /// `loss[row][column]` at `y = axis[row]`, `x = axis[column]`.
    pub loss: Vec<Vec<f64>>,
    /// The lengths of the two directions: a point is `√((x‖a‖)² + (y‖b‖)² + 2xy⟨a, b⟩)` away.
    pub lengths: [f64; 2],
    /// Their cosine, nearly 0 for random ones.
    pub cosine: f64,
}

impl LandscapeConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of points per axis.
    pub fn with_points(mut self, points: usize) -> Self {
        self.points = points;
        self
    }

    /// Sets the largest multiple of either direction.
    pub fn with_reach(mut self, reach: f64) -> Self {
        self.reach = reach;
        self
    }

    /// The multiples of a direction that are evaluated.
    pub fn axis(&self) -> Vec<f64> {
        let last = (self.points - 1) as f64;
        let place = |point: usize| self.reach * (2.0 * point as f64 / last - 1.0);
        (0..self.points).map(place).collect()
    }

    /// The loss in the plane of two directions, which [`filter_normalised`] makes. `points²` forward
    /// passes without a graph. A model in validation mode has the running statistics of its batch
    /// norms everywhere; one in training mode has those of the batch.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::{Linear, LinearConfig}, tensor::{Device, Tensor}};
    /// use zosam::analysis::{LandscapeConfig, filter_normalised};
    /// use zosam::masks::Masks;
    /// let device = Device::flex().autodiff();
    /// let model = LinearConfig::new(3, 2).init(&device);
    /// let directions = [0, 1].map(|index| filter_normalised(&model, &Masks::dense(), 7, index));
    /// let x = Tensor::<2>::ones([4, 3], &device);
    /// let loss = |model: &Linear| model.forward(x.clone()).powi_scalar(2).mean();
    /// let plane = LandscapeConfig::new().with_points(3).measure(&model, &directions, loss)?;
    /// assert_eq!(plane.axis, [-1.0, 0.0, 1.0]);
    /// # }
    /// # Ok::<(), zosam::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A field out of its range.
    pub fn measure<M: Module, F: BatchLoss<M>>(
        &self,
        model: &M,
        directions: &[ParamVector; 2],
        loss: F,
    ) -> Result<Landscape> {
        let axis = self.checked_axis()?;
        let mut objective = Objective::new(model, loss, 0);
        let [a, b] = directions;
        let mut at = |x: f64, y: f64| {
            let direction = a.clone().scaled(x).plus_scaled(b, y);
            value_at(&mut objective, direction, 1.0)
        };
        let rows = axis
            .iter()
            .map(|y| axis.iter().map(|x| at(*x, *y)).collect());
        let loss = rows.collect();
        let lengths = [a.norm(), b.norm()];
        Ok(Landscape {
            axis,
            loss,
            lengths,
            cosine: a.dot(b) / (lengths[0] * lengths[1]),
        })
    }

    /// The loss along one direction, at the multiples of [`axis`](Self::axis): `points` forward passes
    /// without a graph. Any number will do that is had from the model: the share of wrong answers, say.
    ///
    /// # Errors
    ///
    /// A field out of its range.
    pub fn slice<M: Module, F: BatchLoss<M>>(
        &self,
        model: &M,
        direction: &ParamVector,
        loss: F,
    ) -> Result<Vec<f64>> {
        let axis = self.checked_axis()?;
        let mut objective = Objective::new(model, loss, 0);
        let at = |x| value_at(&mut objective, direction.clone(), x);
        Ok(axis.into_iter().map(at).collect())
    }

    fn checked_axis(&self) -> Result<Vec<f64>> {
        check("points", self.points as f64, self.points >= 2, "at least 2")?;
        let is_usable = self.reach.is_finite() && self.reach > 0.0;
        check("reach", self.reach, is_usable, "finite and greater than 0")?;
        Ok(self.axis())
    }
}

/// The loss at `θ + scale · direction`.
fn value_at<M: Module, F: BatchLoss<M>>(
    objective: &mut Objective<'_, M, F>,
    direction: ParamVector,
    scale: f64,
) -> f64 {
    objective.value(Some(&Offset { direction, scale }))
}

impl Landscape {
    /// The distance of a point of the plane from `θ`.
    pub fn distance(&self, x: f64, y: f64) -> f64 {
        let [a, b] = [x * self.lengths[0], y * self.lengths[1]];
        (a * a + b * b + 2.0 * a * b * self.cosine).max(0.0).sqrt()
    }
}
