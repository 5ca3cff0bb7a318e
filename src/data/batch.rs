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
}
