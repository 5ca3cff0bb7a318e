//! Soft labels, and the loss that they need.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

/// Targets `[images, classes]` of labels with smoothing s (Szegedy et al., arXiv 1512.00567; timm's `one_hot`): `1 − s + s / classes`
/// for the label and `s / classes` for the others. A label that is no class has the latter only.
///
/// ```
/// let targets = zosam::data::smooth_targets(&[1], 4, 0.2);
/// assert_eq!(targets, [0.05, 0.85, 0.05, 0.05]);
/// ```
pub fn smooth_targets(labels: &[i64], classes: usize, smoothing: f64) -> Vec<f32> {
    let off = smoothing / classes.max(1) as f64;
    let on = (1.0 - smoothing + off) as f32;
    let row = |label: &i64| {
        let label = usize::try_from(*label).ok();
        (0..classes).map(move |class| if Some(class) == label { on } else { off as f32 })
    };
    labels.iter().flat_map(row).collect()
}

/// Cross-entropy with soft targets, `mean_i −Σ_k y_ik log softmax(z_i)_k`, of logits and targets `[batch, classes]`: timm's
/// `SoftTargetCrossEntropy`. With one-hot targets it is the usual cross-entropy.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// let device = Device::flex();
/// let logits = Tensor::<2>::zeros([3, 4], &device);
/// let targets = Tensor::<2>::full([3, 4], 0.25, &device);
/// let loss: f32 = zosam::data::soft_cross_entropy(logits, targets).into_scalar();
/// assert!((loss - 4_f32.ln()).abs() < 1e-6);
/// # }
/// ```
pub fn soft_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    (log_softmax(logits, 1) * targets).sum_dim(1).mean().neg()
}
