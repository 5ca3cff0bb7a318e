//! Layer norm.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm as BurnLayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor};

use crate::tangent::{Dual, ForwardTangent, layer_norm};

/// burn's [`LayerNorm`](BurnLayerNorm), with the same configuration and record, whose forward and
/// backward passes go over memory once or twice.
///
/// `y = γ (x − μ) / √(σ² + ε) + β`, mean and biased variance over the last axis, input `[…, width]`.
/// That is so on the flex backend in `f32`; elsewhere it is burn's own layer.
///
/// There is no conversion from burn's layer, which keeps its `ε` to itself: name it here.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LayerNormConfig, tensor::{Device, Tensor}};
/// use zosam::nn::LayerNorm;
/// let device = Device::flex().autodiff();
/// let norm = LayerNorm::new(&LayerNormConfig::new(2), &device);
/// let y = norm.forward(Tensor::<2>::from_data([[1.0, 3.0]], &device)).to_data();
/// assert!((y.iter::<f32>().last().unwrap() - 1.0).abs() < 1e-4);
/// # }
/// ```
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `γ`, `[width]`.
    pub gamma: Param<Tensor<1>>,
    /// `β`, `[width]`.
    pub beta: Option<Param<Tensor<1>>>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl LayerNorm {
    /// A layer with `γ = 1`, `β = 0`.
    pub fn new(config: &LayerNormConfig, device: &Device) -> Self {
        let BurnLayerNorm { gamma, beta, .. } = config.init(device);
        Self {
            gamma,
            beta,
            epsilon: config.epsilon,
        }
    }

    /// `[…, width]` to the same shape.
    ///
    /// # Panics
    ///
    /// As burn's: if the last axis is not `width`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        #[cfg(feature = "flex")]
        if self.fits(&input) {
            return self.on_flex(input);
        }
        self.as_burn().forward(input)
    }

    /// Whether the kernels can compute with an input; others are burn's to compute or to refuse.
    #[cfg(feature = "flex")]
    fn fits<const D: usize>(&self, input: &Tensor<D>) -> bool {
        use super::flex::takes;
        let (shape, gamma) = (input.dims(), self.gamma.val());
        let width = shape.last() == Some(&gamma.dims()[0]);
        let beta = self.beta.as_ref().is_none_or(|beta| takes(&beta.val()));
        width && !shape.contains(&0) && takes(input) && takes(&gamma) && beta
    }

    #[cfg(feature = "flex")]
    fn on_flex<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        use super::flex::KernelOps;
        use burn::backend::Dispatch;

        let gamma = self.gamma.val();
        let beta = match &self.beta {
            Some(beta) => beta.val(),
            None => Tensor::zeros(gamma.dims(), &gamma.device()),
        };
        let [gamma, beta] = [gamma, beta].map(Tensor::into_dispatch);
        let input = input.into_dispatch();
        Tensor::from_dispatch(Dispatch::layer_normed(input, gamma, beta, self.epsilon))
    }

    /// The same layer as burn's own; parameters are shared, not copied.
    pub fn as_burn(&self) -> BurnLayerNorm {
        let config = LayerNormConfig::new(self.gamma.dims()[0]).with_epsilon(self.epsilon);
        let mut norm = config.with_bias(false).init(&self.gamma.device());
        norm.gamma = self.gamma.clone();
        norm.beta = self.beta.clone();
        norm
    }
}

impl<const D: usize> ForwardTangent<D> for LayerNorm {
    fn forward_tangent(&self, direction: &Self, input: Dual<D>) -> Dual<D> {
        let gamma = Dual::parameter(&self.gamma, &direction.gamma);
        let betas = self.beta.as_ref().zip(direction.beta.as_ref());
        let beta = betas.map(|(beta, direction)| Dual::parameter(beta, direction));
        layer_norm(input, gamma, beta, self.epsilon)
    }
}
