//! Trained sparse networks on a CPU, without burn's tensors: what a weight does not have costs nothing.
//!
//! [`SparseNetwork`] is a network for one image size with batch norm folded into its convolutions and only live weights kept, 8
//! bytes each. Weights are live if they are not zero, so a model file or a model after training is all it needs. Activations
//! are plain slices; a thread works on one image at a time, so that its activations stay in the caches.
//!
//! | network | beside sparse convolutions and linear layers |
//! |---|---|
//! | `ResNet`, `Vgg`, `ImageNetResNet` | batch norm is in the weights, residual and ReLU in the product; pooling |
//! | `WideResNet` | also batch norm and ReLU before a convolution, a pass of their own |
//! | `Deit` | LayerNorm, attention (dense products), GELU; linear layers are 1×1 convolutions over tokens |
//!
//! A layer that is nearly dense is multiplied densely, from dense weights of 4 bytes each. There, and nowhere else, a dead weight
//! times an infinite number is NaN.
//!
//! Logits are the model's but for rounding: batch norm is a factor of the weights here, a step of its own there.

mod attention;
mod conv;
mod filters;
mod frame;
mod layer;
mod network;
mod norm;
mod pool;
mod residual;

use rayon::prelude::*;

use crate::error::{Error, Result};
pub(crate) use filters::Filters;
use layer::{Layer, Sequence};
pub(crate) use network::Network;

/// A trained network for inference on a CPU, made by a model's `to_sparse_network`.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// # use zosam::masks::Masks;
/// # use zosam::model_file::save_model;
/// use burn::tensor::Device;
/// use zosam::model_file::load_model;
/// use zosam::models::ResNetConfig;
/// let config = ResNetConfig::resnet32(10).with_depth(8).with_width(4);
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("model.safetensors");
/// # save_model(&path, &config.init(&Device::flex())?, &Masks::dense())?;
/// let (model, _masks) = load_model(&path, config.init(&Device::flex())?)?;
/// let network = model.to_sparse_network([32, 32])?;
/// let images = vec![0.5; 2 * 3 * 32 * 32]; // two, normalised, `[3, 32, 32]` each
/// assert_eq!(network.logits(&images)?.len(), 2 * 10);
/// assert!(network.logits(&images[1..]).is_err());
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SparseNetwork {
    layers: Sequence,
}

impl SparseNetwork {
    /// Logits `[images, classes]` of normalised images `[images, channels, height, width]`, in row-major order.
    ///
    /// The same for any number of threads, and for an image alone or among others.
    ///
    /// # Errors
    ///
    /// If the numbers are not those of whole images.
    pub fn logits(&self, images: &[f32]) -> Result<Vec<f32>> {
        let [image, classes] = self.layers.sizes();
        if !images.len().is_multiple_of(image) {
            return Err(Error::Mismatch {
                what: "the images",
                reason: format!("{} numbers, {image} in an image", images.len()),
            });
        }
        let mut logits = vec![0.0; images.len() / image * classes];
        let each = images.par_chunks(image).zip(logits.par_chunks_mut(classes));
        each.try_for_each(|(image, logits)| self.layers.run(image, logits))?;
        Ok(logits)
    }

    /// Number of live weights, those of norms and biases apart.
    pub fn live(&self) -> usize {
        self.layers.live()
    }

    /// Bytes of weights, biases and of what finds the weights.
    pub fn bytes(&self) -> usize {
        self.layers.bytes()
    }
}
