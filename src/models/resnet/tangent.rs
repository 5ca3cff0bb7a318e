//! The ResNets on dual numbers.

use burn::tensor::Tensor;

use super::{BasicBlock, ResNet, parts, subsample};
use crate::tangent::{Dual, ForwardTangent};

impl BasicBlock {
    fn forward_tangent(&self, direction: &Self, input: Dual<4>) -> Dual<4> {
        let hidden = self.conv1.forward_tangent(&direction.conv1, input.clone());
        let hidden = self.bn1.forward_tangent(&direction.bn1, hidden).relu();
        let residual = self.conv2.forward_tangent(&direction.conv2, hidden);
        let residual = self.bn2.forward_tangent(&direction.bn2, residual);
        let shortcut = match (&self.shortcut, &direction.shortcut) {
            (Some(shortcut), Some(direction)) => {
                let projected = shortcut.conv.forward_tangent(&direction.conv, input);
                shortcut.bn.forward_tangent(&direction.bn, projected)
            }
            _ if self.appended > 0 => input.linear(|input| subsample(input, self.appended)),
            _ => input,
        };
        (residual + shortcut).relu()
    }
}

impl ResNet {
    /// Logits of images, as [`forward`](Self::forward), with their derivative along a direction: a
    /// network of the same shape whose parameters are the direction's components.
    pub fn forward_tangent(&self, direction: &Self, images: Tensor<4>) -> Dual<2> {
        let hidden = Dual::constant(images);
        let hidden = self.conv1.forward_tangent(&direction.conv1, hidden);
        let mut hidden = self.bn1.forward_tangent(&direction.bn1, hidden).relu();
        for (block, direction) in self.blocks().zip(direction.blocks()) {
            hidden = block.forward_tangent(direction, hidden);
        }
        let features = hidden.linear(parts::global_mean);
        self.linear.forward_tangent(&direction.linear, features)
    }
}
