//! Multi-head attention whose linear layers skip dead weights.

mod input;

pub use input::MhaInput;

use burn::module::Module;
use burn::nn::attention::{
    MhaCache, MhaOutput, MultiHeadAttention as BurnMultiHeadAttention, MultiHeadAttentionConfig,
};
use burn::nn::{Dropout, Gelu};
use burn::tensor::activation::{quiet_softmax, softmax};
use burn::tensor::{Bool, Device, Tensor, assert_shape};

use super::Linear;

/// A drop-in replacement for burn's [`MultiHeadAttention`](BurnMultiHeadAttention) whose four linear
/// layers are [`Linear`], which skip dead weights where that is faster.
///
/// `concat_h(softmax(Q_h K_hᵀ / √d_k) V_h) W_o + b_o` with `Q = x_q W_q + b_q` and the like, of which
/// head `h` has `d_k = d_model / n_heads` columns. Configuration, fields and record are burn's; the
/// input is [`MhaInput`]. What lies between the linear layers is burn's arithmetic, because the
/// attention weights are returned. Where nobody reads them, [`self_attention`](super::self_attention)
/// between linear layers of your own does not keep them.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::attention::MultiHeadAttentionConfig, tensor::{Device, Tensor}};
/// use zosam::nn::{MhaInput, MultiHeadAttention};
/// let device = Device::flex().autodiff();
/// let attention = MultiHeadAttention::new(&MultiHeadAttentionConfig::new(64, 4), &device);
/// let tokens = Tensor::<3>::zeros([2, 7, 64], &device);
/// let output = attention.forward(MhaInput::self_attn(tokens));
/// assert_eq!(output.context.dims(), [2, 7, 64]);
/// assert_eq!(output.weights.dims(), [2, 4, 7, 7]);
/// # }
/// ```
#[derive(Module, Debug)]
pub struct MultiHeadAttention {
    /// Makes queries, `[d_model, d_model]`.
    pub query: Linear,
    /// Makes keys, `[d_model, d_model]`.
    pub key: Linear,
    /// Makes values, `[d_model, d_model]`.
    pub value: Linear,
    /// Mixes the heads, `[d_model, d_model]`.
    pub output: Linear,
    /// Dropout of attention weights.
    pub dropout: Dropout,
    /// burn's field, which its layer does not use either.
    pub activation: Gelu,
    /// Width of the tokens.
    pub d_model: usize,
    /// Number of heads.
    pub n_heads: usize,
    /// Width of a head.
    pub d_k: usize,
    /// The score of what is masked.
    pub min_float: f64,
    /// Whether a head may attend to nothing: `softmax` with 1 more in the denominator.
    pub quiet_softmax: bool,
}

impl MultiHeadAttention {
    /// An attention with random weights.
    ///
    /// # Panics
    ///
    /// As burn's `init`: without heads, or with a dropout that is no probability.
    pub fn new(config: &MultiHeadAttentionConfig, device: &Device) -> Self {
        config.init(device).into()
    }

    /// Queries `[batch, queries, d_model]` to a context of the same shape, and the attention weights
    /// `[batch, n_heads, queries, keys]`, behind dropout.
    ///
    /// # Panics
    ///
    /// As burn's: if a last axis is not `d_model`, or if queries, keys and values do not belong
    /// together.
    pub fn forward(&self, input: MhaInput) -> MhaOutput {
        let [batch, queries, _] = input.query.dims();
        let [_, keys, _] = input.key.dims();
        assert_shape!(input.query, [_, _, self.d_model]);
        assert_shape!(input.key, [batch, _, self.d_model]);
        assert_shape!(input.value, [batch, keys, self.d_model]);
        let query = self.heads(self.query.forward(input.query));
        let key = self.heads(self.key.forward(input.key));
        let value = self.heads(self.value.forward(input.value));

        let scores = query
            .matmul(key.transpose())
            .div_scalar((self.d_k as f32).sqrt());
        let weights = self.weights(scores, input.mask_pad, input.mask_attn);
        let context = weights.clone().matmul(value).swap_dims(1, 2);
        let context = context.reshape([batch, queries, self.d_model]);
        MhaOutput {
            weights,
            context: self.output.forward(context),
        }
    }

    /// As [`forward`](Self::forward), with what a cache has kept of the tokens before: for inference
    /// token by token.
    ///
    /// It is burn's own, dense: of one token at a time a linear layer has too few examples for the
    /// kernels.
    ///
    /// # Panics
    ///
    /// As `forward`.
    pub fn forward_cache(&self, input: MhaInput, cache: &mut MhaCache) -> MhaOutput {
        self.as_burn().forward_cache(input.into(), cache)
    }

    /// `[batch, tokens, d_model]` to `[batch, n_heads, tokens, d_k]`.
    fn heads(&self, tokens: Tensor<3>) -> Tensor<4> {
        let [batch, count, _] = tokens.dims();
        tokens
            .reshape([batch, count, self.n_heads, self.d_k])
            .swap_dims(1, 2)
    }

    /// Attention weights of scores `[batch, n_heads, queries, keys]`.
    fn weights(
        &self,
        mut scores: Tensor<4>,
        mask_pad: Option<Tensor<2, Bool>>,
        mask_attn: Option<Tensor<3, Bool>>,
    ) -> Tensor<4> {
        if let Some(mask) = mask_pad {
            let [batch, keys] = mask.dims();
            scores = scores.mask_fill(mask.reshape([batch, 1, 1, keys]), self.min_float);
        }
        if let Some(mask) = mask_attn {
            let [batch, queries, keys] = mask.dims();
            let mask = mask.reshape([batch, 1, queries, keys]);
            scores = scores.mask_fill(mask, self.min_float);
        }
        let weights = match self.quiet_softmax {
            true => quiet_softmax(scores, 3),
            false => softmax(scores, 3),
        };
        self.dropout.forward(weights)
    }

    /// The same layer as burn's own; parameters are shared, not copied.
    pub fn as_burn(&self) -> BurnMultiHeadAttention {
        BurnMultiHeadAttention {
            query: self.query.as_burn(),
            key: self.key.as_burn(),
            value: self.value.as_burn(),
            output: self.output.as_burn(),
            dropout: self.dropout.clone(),
            activation: self.activation.clone(),
            d_model: self.d_model,
            n_heads: self.n_heads,
            d_k: self.d_k,
            min_float: self.min_float,
            quiet_softmax: self.quiet_softmax,
        }
    }
}

impl From<BurnMultiHeadAttention> for MultiHeadAttention {
    fn from(attention: BurnMultiHeadAttention) -> Self {
        Self {
            query: attention.query.into(),
            key: attention.key.into(),
            value: attention.value.into(),
            output: attention.output.into(),
            dropout: attention.dropout,
            activation: attention.activation,
            d_model: attention.d_model,
            n_heads: attention.n_heads,
            d_k: attention.d_k,
            min_float: attention.min_float,
            quiet_softmax: attention.quiet_softmax,
        }
    }
}
