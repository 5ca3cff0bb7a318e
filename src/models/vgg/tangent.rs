//! The VGGs on dual numbers.

use burn::tensor::Tensor;

use super::{ConvNorm, Vgg, parts, pooling};
use crate::tangent::{Dual, ForwardTangent};

impl ConvNorm {
    fn forward_tangent(&self, direction: &Self, input: Dual<4>) -> Dual<4> {
        let hidden = self.conv.forward_tangent(&direction.conv, input);
        self.bn.forward_tangent(&direction.bn, hidden).relu()
    }
}

impl Vgg {
    /// Logits of images, as [`forward`](Self::forward), with their derivative along a direction: a
    /// network of the same shape whose parameters are the direction's components.
    pub fn forward_tangent(&self, direction: &Self, images: Tensor<4>) -> Dual<2> {
        let mut hidden = Dual::constant(images);
        for (number, (stage, direction)) in self.stages.iter().zip(&direction.stages).enumerate() {
            if number > 0 {
                hidden = hidden.max_pool2d(pooling());
            }
            for (layer, direction) in stage.iter().zip(direction) {
                hidden = layer.forward_tangent(direction, hidden);
            }
        }
        let features = hidden.linear(parts::global_mean);
        let direction = &direction.classifier;
        self.classifier.forward_tangent(direction, features)
    }
}
