//! What attention is given.

use burn::nn::attention::MhaInput as BurnMhaInput;
use burn::tensor::{Bool, Tensor};

/// Queries, keys and values of [`MultiHeadAttention`](super::MultiHeadAttention), and what is masked
/// in them.
///
/// burn's [`MhaInput`](BurnMhaInput) by its constructors and setters. It is a type of its own
/// because the tensors of burn's are private to burn; `into` makes burn's of it.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::attention::generate_autoregressive_mask, tensor::{Device, Tensor}};
/// use zosam::nn::MhaInput;
/// let device = Device::flex();
/// let tokens = Tensor::<3>::zeros([2, 7, 64], &device);
/// let causal = MhaInput::self_attn(tokens).mask_attn(generate_autoregressive_mask(2, 7, &device));
/// # let _ = burn::nn::attention::MhaInput::from(causal);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MhaInput {
    pub(super) query: Tensor<3>,
    pub(super) key: Tensor<3>,
    pub(super) value: Tensor<3>,
    pub(super) mask_pad: Option<Tensor<2, Bool>>,
    pub(super) mask_attn: Option<Tensor<3, Bool>>,
}

impl MhaInput {
    /// Tokens that attend to themselves, `[batch, tokens, d_model]`.
    pub fn self_attn(tokens: Tensor<3>) -> Self {
        Self::new(tokens.clone(), tokens.clone(), tokens)
    }

    /// Queries `[batch, queries, d_model]`, keys and values `[batch, keys, d_model]`.
    pub fn new(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Self {
        Self {
            query,
            key,
            value,
            mask_pad: None,
            mask_attn: None,
        }
    }

    /// Hides the keys where a mask `[batch, keys]` is true. Default: none.
    pub fn mask_pad(mut self, mask: Tensor<2, Bool>) -> Self {
        self.mask_pad = Some(mask);
        self
    }

    /// Hides keys from queries where a mask `[batch, queries, keys]` is true, in all heads. Default:
    /// none.
    pub fn mask_attn(mut self, mask: Tensor<3, Bool>) -> Self {
        self.mask_attn = Some(mask);
        self
    }
}

impl From<MhaInput> for BurnMhaInput {
    fn from(input: MhaInput) -> Self {
        let mut all = Self::new(input.query, input.key, input.value);
        if let Some(mask) = input.mask_pad {
            all = all.mask_pad(mask);
        }
        if let Some(mask) = input.mask_attn {
            all = all.mask_attn(mask);
        }
        all
    }
}
