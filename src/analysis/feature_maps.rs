//! What the layers of a network make of images.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::nn;
use crate::tree;

/// The output of a layer.
#[derive(Debug, Clone)]
pub struct FeatureMap {
    /// The layer's path: `layer1.0.bn1`.
    pub layer: String,
    /// `[images, channels, height, width]`, of sequences `[sequences, channels, 1, length]`; of a
    /// norm that is fused with ReLU, behind the ReLU.
    pub values: Tensor<4>,
}

/// Runs a forward pass and hands back the outputs of rank 4 and 3 of its [`nn::Conv2d`],
/// [`nn::Conv1d`], [`nn::ConvTranspose2d`] and [`nn::BatchNorm`] layers, in the order in which they
/// were made. burn's own layers are not seen.
///
/// Pictures of them, [`dead_channels`](super::dead_channels) and [`linear_cka`](super::linear_cka) start from
/// here.
///
/// ```
/// # #[cfg(all(feature = "flex", feature = "models"))] {
/// use burn::tensor::{Device, Tensor};
/// use zosam::{analysis::feature_maps, models::ResNetConfig};
/// let model = ResNetConfig::resnet32(10).with_depth(8).init(&Device::flex())?;
/// let images = Tensor::<4>::ones([2, 3, 32, 32], &Device::flex());
/// let (logits, maps) = feature_maps(&model, |model| model.forward(images));
/// assert_eq!(logits.dims(), [2, 10]);
/// let convolutions = maps.iter().filter(|map| map.layer.contains("conv"));
/// assert_eq!(convolutions.count(), 7);
/// assert_eq!(maps[1].layer, "bn1");
/// assert_eq!(maps[1].values.dims(), [2, 16, 32, 32]);
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
pub fn feature_maps<M: Module, R>(
    model: &M,
    forward: impl FnOnce(&M) -> R,
) -> (R, Vec<FeatureMap>) {
    tree::initialise(model);
    let (result, outputs) = nn::recorded(|| forward(model));
    let leaves = tree::float_leaves(model);
    let layer = |id| {
        let leaf = leaves.iter().find(|leaf| leaf.id == id)?;
        let (layer, _) = leaf.path.rsplit_once('.')?;
        Some(layer.to_string())
    };
    let maps = outputs.into_iter().map(|(id, values)| FeatureMap {
        layer: layer(id).unwrap_or_default(),
        values,
    });
    (result, maps.collect())
}
