//! What lies between the layers of a transformer.

use burn::tensor::{Bool, Tensor, activation};

/// `x Φ(x)`, `Φ` the normal distribution function: burn's [`gelu`](activation::gelu), which on the
/// flex backend takes one number at a time.
///
/// There, in `f32`, it is vector instructions, forward and backward (`|error| ≤ 4e-7 |x|`);
/// elsewhere it is burn's.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// let y = zosam::nn::gelu(Tensor::<1>::from_data([1.0], &Device::flex()));
/// assert!((y.into_scalar::<f32>() - 0.841_344_7).abs() < 1e-6);
/// # }
/// ```
pub fn gelu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if super::flex::takes(&input) {
        return super::flex::mapped(input, super::flex::Gelu);
    }
    activation::gelu(input)
}

/// `softmax(Q Kᵀ / √d) V` of each head of width `d`, heads side by side.
///
/// `[batch, tokens, 3 · heads · d]`, of each token all queries, then keys, then values, to
/// `[batch, tokens, heads · d]`. If it is `causal`, a token attends only to itself and to those
/// before. On the flex backend in `f32` weights of attention are made for some queries at a time and
/// not kept, so that memory grows with the tokens and not with their square, and of a causal
/// attention what comes after a block of 64 queries is not computed; elsewhere these are burn's
/// operations.
///
/// # Panics
///
/// If the last axis does not hold three times as many numbers as `heads` have, all of one width.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// // Two tokens of equal keys: the later one attends to both.
/// let qkv = Tensor::<3>::from_data([[[1.0, 1.0, 2.0], [1.0, 1.0, 4.0]]], &Device::flex());
/// let context = zosam::nn::self_attention(qkv, 1, true).into_data();
/// assert_eq!(context.iter::<f32>().collect::<Vec<_>>(), [2.0, 3.0]);
/// # }
/// ```
pub fn self_attention(qkv: Tensor<3>, heads: usize, causal: bool) -> Tensor<3> {
    let [batch, tokens, triple] = qkv.dims();
    assert!(
        heads > 0 && triple > 0 && triple.is_multiple_of(3 * heads),
        "self_attention: the last axis is {triple}, which is no multiple of 3 × {heads} heads"
    );
    let size = triple / 3 / heads;
    #[cfg(feature = "flex")]
    if super::flex::takes(&qkv) && batch * tokens > 0 {
        let attention = crate::kernels::attention::SelfAttention {
            tokens,
            heads,
            size,
            causal,
        };
        return super::flex::mapped(qkv, attention);
    }
    let [queries, keys, values] = [0, 1, 2].map(|part| {
        let part = qkv.clone().narrow(2, part * heads * size, heads * size);
        part.reshape([batch, tokens, heads, size]).swap_dims(1, 2)
    });
    let queries = queries * (size as f64).sqrt().recip();
    let mut scores = queries.matmul(keys.swap_dims(2, 3));
    if causal {
        // True above the diagonal: what comes later.
        let later = Tensor::<2, Bool>::tril_mask([tokens, tokens], 0, &scores.device());
        scores = scores.mask_fill(later.unsqueeze::<4>(), f32::NEG_INFINITY);
    }
    let context = activation::softmax(scores, 3).matmul(values);
    context
        .swap_dims(1, 2)
        .reshape([batch, tokens, heads * size])
}
