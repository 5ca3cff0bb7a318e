//! How alike two networks see the same images.

use burn::tensor::{DType, FloatDType, Tensor};

/// Linear centred kernel alignment of two layers' activations on the same samples, 0 to 1.
///
/// `‖Yᵀ X‖² / (‖Xᵀ X‖ ‖Yᵀ Y‖)` with columns centred and Frobenius norms; `x` is `[samples, p]`, `y`
/// `[samples, q]`. It is 1 for representations that differ by a rotation and a scale. NaN if either
/// has no variance. Computed through the `[samples, samples]` products, so that its cost does not grow
/// with the square of the features.
///
/// Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019
/// (arXiv 1905.00414).
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use zosam::analysis::linear_cka;
/// let x = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]], &Device::flex());
/// let turned = Tensor::cat(vec![x.clone().narrow(1, 1, 1).neg(), x.clone().narrow(1, 0, 1)], 1);
/// assert!((linear_cka(x, turned * 5.0) - 1.0).abs() < 1e-6);
/// # }
/// ```
///
/// # Panics
///
/// If the numbers of samples differ.
pub fn linear_cka(x: Tensor<2>, y: Tensor<2>) -> f64 {
    assert_eq!(x.dims()[0], y.dims()[0], "activations on the same samples");
    let [x, y] = [x, y].map(gram);
    let dot = |a: &Tensor<2>, b: &Tensor<2>| {
        let sum = (a.clone() * b.clone()).sum();
        sum.to_data()
            .iter::<f64>()
            .next()
            .expect("a sum is a number")
    };
    dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt()
}

/// `X Xᵀ` of centred columns, in f64 where the device has it.
fn gram(x: Tensor<2>) -> Tensor<2> {
    let x = match x.dtype() {
        DType::F64 => x,
        _ if x.device().supports_dtype(FloatDType::F64) => x.cast(FloatDType::F64),
        _ => x.cast(FloatDType::F32),
    };
    let centred = x.clone() - x.mean_dim(0);
    centred.clone().matmul(centred.transpose())
}

/// The share of channels that are zero on every sample and position, of activations
/// `[samples, channels, …]` behind a ReLU: what a network pays for and does not use.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use zosam::analysis::dead_channels;
/// let x = Tensor::<3>::from_floats([[[0.0, 0.0], [0.0, 1.0]]], &Device::flex());
/// assert_eq!(dead_channels(x), 0.5);
/// # }
/// ```
pub fn dead_channels<const D: usize>(activations: Tensor<D>) -> f64 {
    let shape = activations.dims();
    let [samples, channels] = [shape[0], shape[1]];
    let positions = shape[2..].iter().product::<usize>();
    let numbers = activations.abs().reshape([samples, channels, positions]);
    let largest: Tensor<1> = numbers.max_dim(2).max_dim(0).flatten::<1>(0, 2);
    let dead = largest
        .to_data()
        .iter::<f64>()
        .filter(|size| *size == 0.0)
        .count();
    dead as f64 / channels as f64
}

/// Where a convolutional network looks for a class: `max(0, Σ_c w_c A_c)`, `[height, width]`.
///
/// `activations` are the last convolution's `[channels, height, width]` of one image, `weights` the
/// classifier's for the class, `[channels]`, behind a global mean.
///
/// Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016
/// (arXiv 1512.04150), cut at zero as Grad-CAM does.
///
/// # Panics
///
/// If the numbers of channels differ.
pub fn class_activation(activations: Tensor<3>, weights: Tensor<1>) -> Tensor<2> {
    let [channels, height, width] = activations.dims();
    assert_eq!(weights.dims(), [channels], "a weight for each channel");
    let map = (activations * weights.reshape([channels, 1, 1])).sum_dim(0);
    map.reshape([height, width]).clamp_min(0.0)
}
