//! The images that a landscape is drawn on.

use burn::tensor::{Device, Int, Tensor, TensorData};
use zosam::compile::CompileConfig;
use zosam::data::Batch;
use zosam::inference::SparseNetwork;
use zosam::tangent::cross_entropy;

use crate::common::Classifier;

/// Images, which hundreds of models answer one after another.
pub struct Images {
    batches: Vec<Tensor<4>>,
    labels: Tensor<1, Int>,
    /// All pixels, for compiled networks; none if models cannot be compiled or are not on flex.
    pixels: Option<Vec<f32>>,
}

impl Images {
    /// The images of some batches, for models that differ from this one in their weights alone.
    pub fn new<M: Classifier>(model: &M, batches: &[Batch], device: &Device) -> Self {
        let (images, labels) = batches.iter().map(|batch| batch.to_tensors(device)).unzip();
        let mut these = Self {
            batches: images,
            labels: Tensor::cat(labels, 0),
            pixels: None,
        };
        if *device == Device::flex() && these.compiled(model).is_some() {
            let pixels = batches.iter().flat_map(|batch| &batch.images);
            these.pixels = Some(pixels.copied().collect());
        }
        these
    }

    /// The mean cross-entropy of a model in validation mode.
    pub fn loss<M: Classifier>(&self, model: &M) -> Tensor<1> {
        cross_entropy(self.logits(model), self.labels.clone(), 1.0)
    }

    /// Its share of wrong answers.
    pub fn wrong<M: Classifier>(&self, model: &M) -> Tensor<1> {
        let answers = self.logits(model).argmax(1).flatten::<1>(0, 1);
        answers.not_equal(self.labels.clone()).float().mean()
    }

    /// Logits `[images, classes]`.
    fn logits<M: Classifier>(&self, model: &M) -> Tensor<2> {
        let by_layers = || {
            let logits = self
                .batches
                .iter()
                .map(|images| model.logits(images.clone()));
            Tensor::cat(logits.collect(), 0)
        };
        let network = self.pixels.as_ref().zip(self.compiled(model));
        let Some((pixels, network)) = network else {
            return by_layers();
        };
        let logits = network.logits(pixels).expect("whole images");
        let [images] = self.labels.dims();
        let shape = [images, logits.len() / images];
        Tensor::from_data(TensorData::new(logits, shape), &self.labels.device())
    }

    /// A model's compiled network, without a check against the model: validation mode takes images one by one.
    fn compiled<M: Classifier>(&self, model: &M) -> Option<SparseNetwork> {
        let sample = self.batches.first()?.clone();
        let config = CompileConfig::new().with_tolerance(None);
        config.compile(model, sample, M::logits).ok()
    }
}
