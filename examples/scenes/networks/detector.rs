//! The network that says where items are.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2dConfig;
use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Device, Tensor};
use zosam::nn::Conv2d;

use super::CLASSES;
use super::unet::Unet;

/// Pixels of a scene to a cell of the output, in each direction.
pub const STRIDE: usize = 2;
/// Weight of the sizes' loss, as in the paper.
const SIZES: f64 = 0.1;
/// What a cell holds of a centre at first: a chance of 0.1, so that the many cells without one do not drown the others.
const FIRST: f64 = -2.19;

/// A U-Net that ends at half the scene's resolution, with three outputs for each cell.
///
/// Zhou, Wang and Krähenbühl, "Objects as Points", 2019 (arXiv 1904.07850).
#[derive(Module, Debug)]
pub struct Detector {
    unet: Unet,
    heat: Conv2d,
    size: Conv2d,
    offset: Conv2d,
}

impl Detector {
    /// `width` channels at the highest of `levels` levels, 2 or more.
    pub fn new(width: usize, levels: usize, device: &Device) -> Self {
        let output = |channels| {
            Conv2d::new(
                &Conv2dConfig::new([STRIDE * width, channels], [1, 1]),
                device,
            )
        };
        let mut heat = output(CLASSES);
        heat.bias = Some(Param::from_tensor(Tensor::full([CLASSES], FIRST, device)));
        Self {
            unet: Unet::new(width, levels, levels - 2, device),
            heat,
            size: output(2),
            offset: output(2),
        }
    }

    /// `[batch, 1, height, width]` to `[batch, 14, height / 2, width / 2]`: for each cell logits of a centre of each class, a box's width and height in
    /// cells, and how far its centre lies to the right of the cell's left edge and below its upper one.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let features = self.unet.forward(images);
        let outputs = [&self.heat, &self.size, &self.offset];
        Tensor::cat(
            outputs
                .map(|output| output.forward(features.clone()))
                .to_vec(),
            1,
        )
    }

    /// The loss of each scene, `[batch]`: the focal loss of the heat map, whose penalty is less near a centre, and at centres the distances of sizes and
    /// offsets.
    ///
    /// `L = (Σ_cells F + 0.1 Σ_centres |size − ŝize| + Σ_centres |offset − ôffset|) / N`, with `F = −(1 − p)² log p` at a centre and
    /// `−(1 − y)⁴ p² log(1 − p)` elsewhere. Targets are `[batch, 15, height / 2, width / 2]`: `y`, sizes and offsets as in the output, and 1 where a centre is.
    pub fn losses(&self, images: Tensor<4>, targets: Tensor<4>) -> Tensor<1> {
        Self::losses_of(self.forward(images), targets)
    }

    /// The losses of an output.
    pub fn losses_of(output: Tensor<4>, targets: Tensor<4>) -> Tensor<1> {
        let logits = output.clone().narrow(1, 0, CLASSES);
        let (near, far) = (log_sigmoid(logits.clone()), log_sigmoid(logits.neg()));
        let heat = targets.clone().narrow(1, 0, CLASSES);
        let centre = heat.clone().equal_elem(1.0).float();
        let hit = centre.clone() * far.clone().exp().powi_scalar(2) * near.clone();
        // Nothing at a centre, where `1 − y` is 0.
        let miss = (heat.neg() + 1.0).powi_scalar(4) * near.exp().powi_scalar(2) * far;
        let is_here = targets.clone().narrow(1, CLASSES + 4, 1);
        let distance = |channel: usize| {
            let both = [&output, &targets].map(|tensor| tensor.clone().narrow(1, channel, 2));
            let [found, right] = both;
            total((found - right).abs() * is_here.clone())
        };
        let distances = distance(CLASSES) * SIZES + distance(CLASSES + 2);
        (distances - total(hit + miss)) / total(centre).clamp_min(1.0)
    }
}

/// The sum of each sample.
fn total(values: Tensor<4>) -> Tensor<1> {
    let values: Tensor<2> = values.flatten(1, 3);
    values.sum_dim(1).flatten(0, 1)
}
