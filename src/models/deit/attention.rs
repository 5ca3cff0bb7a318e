//! Attention of all tokens to all tokens.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::nn::{Linear, self_attention};
use crate::tangent::{Dual, ForwardTangent};

/// Multi-head self-attention, `softmax(Q Kᵀ / √d) V` for each head of width `d`, then a projection.
#[derive(Module, Debug)]
pub struct Attention {
    pub(super) qkv: Linear,
    pub(super) proj: Linear,
    pub(super) heads: usize,
}

impl Attention {
    /// `[batch, tokens, width]` to the same shape.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let all = self.qkv.forward(tokens);
        self.proj.forward(self_attention(all, self.heads, false))
    }

    pub(super) fn forward_tangent(&self, direction: &Self, tokens: Dual<3>) -> Dual<3> {
        let [_, _, width] = tokens.value.dims();
        let all = self.qkv.forward_tangent(&direction.qkv, tokens);
        let part = |part| all.clone().linear(|all| self.heads_of(all, part));
        let queries = part(0).scaled(self.scale(width));
        let keys = part(1).linear(|keys| keys.swap_dims(2, 3));
        let weights = queries.matmul(keys).softmax(3);
        let joined = weights.matmul(part(2)).linear(joined);
        self.proj.forward_tangent(&direction.proj, joined)
    }

    fn scale(&self, width: usize) -> f64 {
        ((width / self.heads) as f64).sqrt().recip()
    }

    /// Queries, keys or values, `[batch, heads, tokens, d]`.
    fn heads_of(&self, all: Tensor<3>, part: usize) -> Tensor<4> {
        let [batch, tokens, triple] = all.dims();
        let width = triple / 3;
        let part = all.narrow(2, part * width, width);
        part.reshape([batch, tokens, self.heads, width / self.heads])
            .swap_dims(1, 2)
    }
}

/// All heads side by side.
fn joined(heads: Tensor<4>) -> Tensor<3> {
    let [batch, count, tokens, width] = heads.dims();
    heads
        .swap_dims(1, 2)
        .reshape([batch, tokens, count * width])
}
