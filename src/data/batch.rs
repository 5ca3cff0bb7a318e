//! A batch on the host, and its way to the device.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Images and labels of a batch on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Normalised pixels `[images, channels, height, width]` in row-major order.
    pub images: Vec<f32>,
    /// Class of each image, from 0.
    pub labels: Vec<i64>,
    /// Number of images, channels, height and width.
    pub shape: [usize; 4],
    /// Position of each image in its set.
    pub indices: Vec<usize>,
    /// Soft targets `[images, classes]`, if labels are smoothed or images mixed; `labels` are then those of the images
    /// before mixing.
    pub targets: Option<Vec<f32>>,
}

impl Batch {
    /// Copies the batch to a device: images `[images, channels, height, width]` and labels
    /// `[images]`.
    pub fn to_tensors(&self, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
        let images = TensorData::new(self.images.clone(), self.shape);
        let labels = TensorData::new(self.labels.clone(), [self.labels.len()]);
        (
            Tensor::from_data(images, device),
            Tensor::from_data(labels, device),
        )
    }

    /// Copies the soft targets `[images, classes]` to a device, for
    /// [`soft_cross_entropy`](super::soft_cross_entropy).
    pub fn soft_targets(&self, device: &Device) -> Option<Tensor<2>> {
        let targets = self.targets.as_ref()?;
        let images = self.labels.len();
        let shape = [images, targets.len() / images.max(1)];
        let targets = TensorData::new(targets.clone(), shape);
        Some(Tensor::from_data(targets, device))
    }
}
