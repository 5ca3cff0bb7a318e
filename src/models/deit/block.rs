//! A transformer block.

use burn::module::Module;
use burn::nn::Dropout;
use burn::tensor::Tensor;

use super::attention::Attention;
use crate::nn::{LayerNorm, Linear, gelu};
use crate::tangent::{Dual, ForwardTangent};

/// Of LayerNorm, as in timm; burn's and PyTorch's own default is 1e-5.
pub(super) const EPSILON: f64 = 1e-6;

/// `x + attention(norm(x))`, then `x + mlp(norm(x))`, each branch left out by stochastic depth.
#[derive(Module, Debug)]
pub struct Block {
    pub(super) norm1: LayerNorm,
    pub(super) attn: Attention,
    pub(super) norm2: LayerNorm,
    pub(super) mlp: Mlp,
    pub(super) drop_path: DropPath,
}

/// Two linear layers with an exact GELU between them.
#[derive(Module, Debug)]
pub struct Mlp {
    pub(super) fc1: Linear,
    pub(super) fc2: Linear,
}

/// Leaves out a residual branch for some images while training, and scales it up for the others.
///
/// Huang et al., "Deep Networks with Stochastic Depth", 2016 (arXiv 1603.09382), per image as in
/// timm.
#[derive(Module, Debug)]
pub struct DropPath {
    pub(super) dropout: Dropout,
}

impl DropPath {
    fn forward(&self, branch: Tensor<3>) -> Tensor<3> {
        let [batch, ..] = branch.dims();
        if self.dropout.prob == 0.0 {
            return branch;
        }
        let options = (&branch.device(), branch.dtype());
        branch * self.dropout.forward(Tensor::ones([batch, 1, 1], options))
    }

    fn forward_tangent(&self, branch: Dual<3>) -> Dual<3> {
        let [batch, ..] = branch.value.dims();
        if self.dropout.prob == 0.0 {
            return branch;
        }
        // One draw for both.
        let options = (&branch.value.device(), branch.value.dtype());
        let factor = self.dropout.forward(Tensor::ones([batch, 1, 1], options));
        branch.linear(|branch| branch * factor.clone())
    }
}

impl Block {
    /// `[batch, tokens, width]` to the same shape.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let branch = self.attn.forward(self.norm1.forward(tokens.clone()));
        let tokens = tokens + self.drop_path.forward(branch);
        let branch = self.mlp.forward(self.norm2.forward(tokens.clone()));
        tokens + self.drop_path.forward(branch)
    }

    pub(super) fn forward_tangent(&self, direction: &Self, tokens: Dual<3>) -> Dual<3> {
        let branch = self.norm1.forward_tangent(&direction.norm1, tokens.clone());
        let branch = self.attn.forward_tangent(&direction.attn, branch);
        let tokens = tokens + self.drop_path.forward_tangent(branch);
        let branch = self.norm2.forward_tangent(&direction.norm2, tokens.clone());
        let branch = self.mlp.fc1.forward_tangent(&direction.mlp.fc1, branch);
        let branch = self
            .mlp
            .fc2
            .forward_tangent(&direction.mlp.fc2, branch.gelu());
        tokens + self.drop_path.forward_tangent(branch)
    }
}

impl Mlp {
    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(gelu(self.fc1.forward(tokens)))
    }
}
