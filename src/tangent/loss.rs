//! Cross-entropy and its derivative.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Int, Tensor};

use super::Dual;

/// `mean −log softmax(z / T)_label` of logits `[batch, classes]` with labels `[batch]`.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>, temperature: f64) -> Tensor<1> {
    let chances = log_softmax(logits.div_scalar(temperature), 1);
    chances.gather(1, labels.unsqueeze_dim(1)).mean().neg()
}

/// The derivative of [`cross_entropy`] along the direction: `mean_i Σ_k (p_ik − y_ik) ż_ik / T`.
pub fn cross_entropy_tangent(
    logits: Dual<2>,
    labels: Tensor<1, Int>,
    temperature: f64,
) -> Tensor<1> {
    let [batch, _] = logits.value.dims();
    let chances = softmax(logits.value.div_scalar(temperature), 1);
    let expected = (chances * logits.tangent.clone()).sum();
    let of_the_labels = logits.tangent.gather(1, labels.unsqueeze_dim(1)).sum();
    (expected - of_the_labels).div_scalar(temperature * batch as f64)
}
