//! The average of the weights over training.

use burn::module::Module;

use crate::error::{Error, Result};
use crate::masks::Masks;
use crate::tree;

/// Exponential moving average of a model's tensors, running statistics included.
///
/// `θ̄ ← d θ̄ + (1 − d) θ` after every step, from the model it was made of. The average of weights
/// that died since is not zero; [`sparse`](Self::sparse) projects it onto the masks.
///
/// Polyak and Juditsky 1992; the variant is timm's `ModelEmaV2`, with which DeiT was trained (`d` =
/// 0.99996). Range of `d`: 0 to 1, without 1.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::Device};
/// use zosam::optim::WeightAverage;
/// use zosam::tree::values;
/// let model = || LinearConfig::new(3, 1).init(&Device::flex().autodiff());
/// let (first, second) = (model(), model());
/// let mut average = WeightAverage::new(0.75, &first)?;
/// average.update(&first);
/// let distance = values(average.model()).add_scaled(&values(&first), -1.0).norm();
/// assert!(distance < 1e-6);
/// # let _ = second;
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct WeightAverage<M> {
    decay: f64,
    model: M,
}

impl<M: Module> WeightAverage<M> {
    /// Starts with the tensors of a model.
    ///
    /// # Errors
    ///
    /// If `decay` is not in 0 to 1, without 1.
    pub fn new(decay: f64, model: &M) -> Result<Self> {
        match (0.0..1.0).contains(&decay) {
            true => Ok(Self {
                decay,
                model: tree::twin(model),
            }),
            false => Err(Error::Config {
                field: "weight_average.decay",
                value: decay.to_string(),
                valid: "at least 0 and less than 1",
            }),
        }
    }

    /// Takes in the model after a step. It has to be the one that the average was made of.
    pub fn update(&mut self, model: &M) {
        self.model = tree::blend(self.model.clone(), model, 1.0 - self.decay);
    }

    /// The average, dense.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The average of the live weights, zero elsewhere.
    pub fn sparse(&self, masks: &Masks) -> M {
        masks.project_model(self.model.clone())
    }

    /// Goes on from a saved average.
    pub(crate) fn with_model(self, model: M) -> Self {
        Self { model, ..self }
    }
}
