//! The ImageNet ResNets on dual numbers.

use burn::tensor::Tensor;

use super::{ImageNetResNet, ResidualBlock, parts, pooling};
use crate::nn::{BatchNorm, Conv2d};
use crate::tangent::{Dual, ForwardTangent};

/// A convolution and its batch norm, each with its direction.
fn conv_norm(
    (conv, conv_direction): (&Conv2d, &Conv2d),
    (bn, bn_direction): (&BatchNorm, &BatchNorm),
    input: Dual<4>,
) -> Dual<4> {
    let hidden = conv.forward_tangent(conv_direction, input);
    bn.forward_tangent(bn_direction, hidden)
}

impl ResidualBlock {
    fn forward_tangent(&self, to: &Self, input: Dual<4>) -> Dual<4> {
        let (conv1, bn1) = ((&self.conv1, &to.conv1), (&self.bn1, &to.bn1));
        let (conv2, bn2) = ((&self.conv2, &to.conv2), (&self.bn2, &to.bn2));
        let hidden = conv_norm(conv1, bn1, input.clone()).relu();
        let mut residual = conv_norm(conv2, bn2, hidden);
        let conv3 = self.conv3.as_ref().zip(to.conv3.as_ref());
        let bn3 = self.bn3.as_ref().zip(to.bn3.as_ref());
        if let (Some(conv3), Some(bn3)) = (conv3, bn3) {
            residual = conv_norm(conv3, bn3, residual.relu());
        }
        let shortcut = match (&self.downsample, &to.downsample) {
            (Some((conv, bn)), Some((conv_to, bn_to))) => {
                conv_norm((conv, conv_to), (bn, bn_to), input)
            }
            _ => input,
        };
        (residual + shortcut).relu()
    }
}

impl ImageNetResNet {
    /// Logits of images, as [`forward`](Self::forward), with their derivative along a direction: a
    /// network of the same shape whose parameters are the direction's components.
    pub fn forward_tangent(&self, direction: &Self, images: Tensor<4>) -> Dual<2> {
        let (conv1, bn1) = ((&self.conv1, &direction.conv1), (&self.bn1, &direction.bn1));
        let mut hidden = conv_norm(conv1, bn1, Dual::constant(images)).relu();
        if self.large_images {
            hidden = hidden.max_pool2d(pooling());
        }
        for (block, direction) in self.blocks().zip(direction.blocks()) {
            hidden = block.forward_tangent(direction, hidden);
        }
        let features = hidden.linear(parts::global_mean);
        self.fc.forward_tangent(&direction.fc, features)
    }
}
