//! A batch on the device, and its loss.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};
use zosam::data::{Batch, soft_cross_entropy};
use zosam::objective::{BatchLoss, Batched};

use super::Classifier;

/// A batch on the device.
pub struct Tensors {
    images: Tensor<4>,
    pub labels: Tensor<1, Int>,
    /// Soft targets, where labels are smoothed or images mixed.
    targets: Option<Tensor<2>>,
}

impl Tensors {
    pub fn new(batch: &Batch, device: &Device) -> Self {
        let (images, labels) = batch.to_tensors(device);
        Self {
            images,
            labels,
            targets: batch.soft_targets(device),
        }
    }

    /// The losses of some images, and their logits.
    fn losses<M: Classifier>(&self, model: &M, part: &[usize]) -> (Tensor<1>, Tensor<2>) {
        let logits = model.logits(self.images.part(part));
        let log = log_softmax(logits.clone(), 1);
        let losses = match &self.targets {
            None => log.gather(1, self.labels.part(part).unsqueeze_dim(1)),
            Some(targets) => (log * targets.part(part)).sum_dim(1),
        };
        (losses.neg().flatten(0, 1), logits)
    }
}

impl<M: Classifier> BatchLoss<M> for &Tensors {
    type Extra = Tensor<2>;

    fn whole(&self, model: &M) -> (Tensor<1>, Tensor<2>) {
        let images = self.images.clone();
        match &self.targets {
            None => model.loss(images, self.labels.clone()),
            Some(targets) => {
                let logits = model.logits(images);
                (soft_cross_entropy(logits.clone(), targets.clone()), logits)
            }
        }
    }

    fn samples(&self) -> Option<usize> {
        Some(self.images.dims()[0])
    }

    fn each(&self, model: &M, part: Option<&[usize]>) -> Option<(Tensor<1>, Tensor<2>)> {
        let all: Vec<usize> = (0..self.images.dims()[0]).collect();
        Some(self.losses(model, part.unwrap_or(&all)))
    }
}
