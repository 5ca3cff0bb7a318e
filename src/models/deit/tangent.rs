//! DeiT on dual numbers.

use burn::tensor::Tensor;

use super::{Deit, token};
use crate::tangent::{Dual, ForwardTangent};

impl Deit {
    /// Logits of images, as [`forward`](Self::forward), with their derivative along a direction: a
    /// network of the same shape whose parameters are the direction's components.
    pub fn forward_tangent(&self, direction: &Self, images: Tensor<4>) -> Dual<2> {
        let tokens = self.embed_tangent(direction, images);
        let blocks = self.blocks.iter().zip(&direction.blocks);
        let tokens = blocks.fold(tokens, |tokens, (block, direction)| {
            block.forward_tangent(direction, tokens)
        });
        let tokens = self.norm.forward_tangent(&direction.norm, tokens);
        let class = tokens.clone().linear(|tokens| token(tokens, 0));
        let logits = self.head.forward_tangent(&direction.head, class);
        match (&self.head_dist, &direction.head_dist) {
            (Some(head), Some(direction)) => {
                let class = tokens.linear(|tokens| token(tokens, 1));
                (logits + head.forward_tangent(direction, class)).scaled(0.5)
            }
            _ => logits,
        }
    }

    /// Images do not depend on the weights, so the derivative of the embedding is that of
    /// `direction`.
    fn embed_tangent(&self, direction: &Self, images: Tensor<4>) -> Dual<3> {
        Dual {
            value: self.embed(images.clone()),
            tangent: direction.embed(images),
        }
    }
}
