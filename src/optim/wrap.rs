//! Around a burn optimizer, and in the place of one.

use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

use super::SharpOptimizer;
use crate::error::Result;
use crate::perturb::*;

/// The base rule, tensor by tensor.
impl<P: Perturbation, O: Optimizer> Optimizer for SharpOptimizer<P, O> {
    type State<const D: usize> = O::State<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        self.rule.step(lr, tensor, grad, state)
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        O::to_device(state, device)
    }
}

impl<P: std::fmt::Debug, O> std::fmt::Debug for SharpOptimizer<P, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharpOptimizer")
            .field("perturbation", &self.perturbation)
            .field("base", &std::any::type_name::<O>())
            .field("seed", &self.seed)
            .field("step", &self.step)
            .finish()
    }
}

macro_rules! init {
    ($($config:ty => $perturbation:ty),*) => {$(
        impl $config {
            /// Puts the perturbation around a burn optimizer.
            ///
            /// # Errors
            ///
            /// A field out of its range.
            pub fn init<O: Optimizer>(&self, base: O) -> Result<SharpOptimizer<$perturbation, O>> {
                Ok(SharpOptimizer::new(self.build()?, base))
            }
        }
    )*};
}

init!(
    SamConfig => FirstOrder,
    AsamConfig => Asam,
    GsamConfig => Gsam,
    EsamConfig => Esam,
    LookSamConfig => LookSam,
    MomentumSamConfig => MomentumSam,
    FriendlySamConfig => FriendlySam,
    WsamConfig => Wsam,
    FisherSamConfig => FisherSam,
    ZoSamConfig => ZeroOrder,
    RandomSignConfig => RandomSign,
    SharpnessConfig => Sharpness
);
