//! Batch norm with what usually follows it.

use burn::module::{Flag, Module, Param, RunningState};
use burn::nn::{BatchNorm as BurnBatchNorm, BatchNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::record::record;
use crate::tangent::{Dual, ForwardTangent};

/// burn's [`BatchNorm`](BurnBatchNorm), with the same configuration, fields and record, fused with
/// a residual and ReLU.
///
/// `y = max(0, γ (x − μ) / √(σ² + ε) + β + r)`, `x` and `r` of `[batch, channels, …]`; statistics
/// of the batch in training (biased variance, which running statistics follow too, as burn's do),
/// running ones otherwise. On the flex backend in `f32` each of forward and backward is two passes
/// over memory; elsewhere it is burn's own layer, an addition and burn's ReLU.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::BatchNormConfig, tensor::{Device, Tensor}};
/// use zosam::nn::BatchNorm;
/// let norm = BatchNorm::new(&BatchNormConfig::new(1), &Device::flex().autodiff());
/// let x = Tensor::<3>::from_data([[[1.0, 3.0]]], &Device::flex().autodiff());
/// let y = norm.forward_relu(x).to_data();
/// assert!((y.iter::<f32>().last().unwrap() - 1.0).abs() < 1e-4);
/// # }
/// ```
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// `γ`, `[channels]`.
    pub gamma: Param<Tensor<1>>,
    /// `β`, `[channels]`.
    pub beta: Param<Tensor<1>>,
    /// Whether statistics are the batch's where gradients are possible.
    pub training: Param<Flag>,
    /// Running mean.
    pub running_mean: RunningState<Tensor<1>>,
    /// Running variance.
    pub running_var: RunningState<Tensor<1>>,
    /// Share of the batch's statistics in an update of the running ones.
    pub momentum: f64,
    /// Added to the variance.
    pub epsilon: f64,
}

impl BatchNorm {
    /// A layer with `γ = 1`, `β = 0`.
    ///
    /// # Panics
    ///
    /// As burn's `init`: without channels, or with an `epsilon` or `momentum` out of range.
    pub fn new(config: &BatchNormConfig, device: &Device) -> Self {
        config.init(device).into()
    }

    /// Norm alone.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.fused(input, None, false)
    }

    /// Norm, then ReLU.
    pub fn forward_relu<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.fused(input, None, true)
    }

    /// Norm, plus a residual of the same shape, then ReLU.
    ///
    /// # Panics
    ///
    /// If the shapes differ.
    pub fn forward_residual_relu<const D: usize>(
        &self,
        input: Tensor<D>,
        residual: Tensor<D>,
    ) -> Tensor<D> {
        assert_eq!(
            input.dims(),
            residual.dims(),
            "a residual has the shape of what it is added to"
        );
        self.fused(input, Some(residual), true)
    }

    fn fused<const D: usize>(
        &self,
        input: Tensor<D>,
        residual: Option<Tensor<D>>,
        with_relu: bool,
    ) -> Tensor<D> {
        let output = self.computed(input, residual, with_relu);
        record(self.gamma.id, &output);
        output
    }

    fn computed<const D: usize>(
        &self,
        input: Tensor<D>,
        residual: Option<Tensor<D>>,
        with_relu: bool,
    ) -> Tensor<D> {
        #[cfg(feature = "flex")]
        if self.fits(&input) && residual.as_ref().is_none_or(super::flex::takes) {
            return self.on_flex(input, residual, with_relu);
        }
        let mut output = self.as_burn().forward(input);
        if let Some(residual) = residual {
            output = output + residual;
        }
        if with_relu { relu(output) } else { output }
    }

    /// Whether the kernels can compute with an input; others are burn's to compute or to refuse.
    #[cfg(feature = "flex")]
    fn fits<const D: usize>(&self, input: &Tensor<D>) -> bool {
        use super::flex::takes;
        let shape = input.dims();
        let channels = self.gamma.dims() == [*shape.get(1).unwrap_or(&0)];
        let parameters = takes(&self.gamma.val()) && takes(&self.beta.val());
        channels && !shape.contains(&0) && takes(input) && parameters
    }

    #[cfg(feature = "flex")]
    fn on_flex<const D: usize>(
        &self,
        input: Tensor<D>,
        residual: Option<Tensor<D>>,
        relu: bool,
    ) -> Tensor<D> {
        use super::flex::{KernelOps, NormPlan};
        use burn::backend::Dispatch;

        let of_batch = input.device().is_autodiff() && self.training.is_enabled();
        let plan = NormPlan {
            epsilon: self.epsilon,
            relu,
            running: (!of_batch).then(|| {
                [&self.running_mean, &self.running_var].map(|state| {
                    let state = state.value_sync().into_data();
                    state.iter::<f32>().collect()
                })
            }),
        };
        let (gamma, beta) = (
            self.gamma.val().into_dispatch(),
            self.beta.val().into_dispatch(),
        );
        let input = input.into_dispatch();
        let (output, mean, variance) = match residual {
            None => Dispatch::norm(input, gamma, beta, plan),
            Some(residual) => {
                Dispatch::norm_onto(input, gamma, beta, residual.into_dispatch(), plan)
            }
        };
        if of_batch {
            self.advance(&self.running_mean, Tensor::from_dispatch(mean));
            self.advance(&self.running_var, Tensor::from_dispatch(variance));
        }
        Tensor::from_dispatch(output)
    }

    /// Moves a running statistic towards the batch's.
    #[cfg(feature = "flex")]
    fn advance(&self, running: &RunningState<Tensor<1>>, batch: Tensor<1>) {
        let old = running.value_sync().to_device(&batch.device());
        let new = old.mul_scalar(1.0 - self.momentum) + batch.mul_scalar(self.momentum);
        running.update(new.detach());
    }

    /// The same layer as burn's own; parameters and running statistics are shared, not copied.
    pub fn as_burn(&self) -> BurnBatchNorm {
        BurnBatchNorm {
            gamma: self.gamma.clone(),
            beta: self.beta.clone(),
            training: self.training.clone(),
            running_mean: self.running_mean.clone(),
            running_var: self.running_var.clone(),
            momentum: self.momentum,
            epsilon: self.epsilon,
        }
    }
}

impl From<BurnBatchNorm> for BatchNorm {
    fn from(norm: BurnBatchNorm) -> Self {
        Self {
            gamma: norm.gamma,
            beta: norm.beta,
            training: norm.training,
            running_mean: norm.running_mean,
            running_var: norm.running_var,
            momentum: norm.momentum,
            epsilon: norm.epsilon,
        }
    }
}

impl<const D: usize> ForwardTangent<D> for BatchNorm {
    fn forward_tangent(&self, direction: &Self, input: Dual<D>) -> Dual<D> {
        self.as_burn().forward_tangent(&direction.as_burn(), input)
    }
}
