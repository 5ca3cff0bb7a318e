//! The wide ResNets on dual numbers.

use burn::tensor::Tensor;

use super::{PreActivationBlock, WideResNet, parts};
use crate::tangent::{Dual, ForwardTangent};

impl PreActivationBlock {
    fn forward_tangent(&self, direction: &Self, input: Dual<4>) -> Dual<4> {
        let active = self.bn1.forward_tangent(&direction.bn1, input.clone());
        let active = active.relu();
        let shortcut = match (&self.shortcut, &direction.shortcut) {
            (Some(shortcut), Some(direction)) => {
                shortcut.forward_tangent(direction, active.clone())
            }
            _ => input,
        };
        let hidden = self.conv1.forward_tangent(&direction.conv1, active);
        let hidden = self.bn2.forward_tangent(&direction.bn2, hidden).relu();
        // One draw for both, at the moment at which `forward` makes its own.
        let kept = self.dropout.forward(hidden.value.ones_like());
        let hidden = hidden.linear(|hidden| hidden * kept.clone());
        self.conv2.forward_tangent(&direction.conv2, hidden) + shortcut
    }
}

impl WideResNet {
    /// Logits of images, as [`forward`](Self::forward), with their derivative along a direction: a
    /// network of the same shape whose parameters are the direction's components.
    pub fn forward_tangent(&self, direction: &Self, images: Tensor<4>) -> Dual<2> {
        let images = Dual::constant(images);
        let mut hidden = self.conv1.forward_tangent(&direction.conv1, images);
        for (block, direction) in self.blocks().zip(direction.blocks()) {
            hidden = block.forward_tangent(direction, hidden);
        }
        let hidden = self.bn1.forward_tangent(&direction.bn1, hidden).relu();
        let features = hidden.linear(parts::global_mean);
        self.fc.forward_tangent(&direction.fc, features)
    }
}
