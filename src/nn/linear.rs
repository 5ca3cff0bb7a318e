//! A linear layer that skips dead weights.

use burn::module::{Module, Param};
use burn::nn::{Linear as BurnLinear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::tangent::{Dual, ForwardTangent};

/// A drop-in replacement for burn's [`Linear`](BurnLinear) that skips dead weights where that is
/// faster.
///
/// `y = x W + b`, input `[…, inputs]`. Configuration, fields and record are burn's. It computes
/// densely, by burn's own arithmetic, until masks are in [scope](crate::masks::Masks::run), which a
/// training step sees to. Then, on the flex backend in `f32`, it is sparse below a [measured
/// density](super::crossover). Dead weights get a gradient only in steps whose method asks for it.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::LinearConfig, tensor::{Device, Tensor}};
/// use zosam::nn::Linear;
/// let device = Device::flex().autodiff();
/// let linear = Linear::new(&LinearConfig::new(64, 10), &device);
/// assert_eq!(linear.forward(Tensor::<3>::zeros([2, 7, 64], &device)).dims(), [2, 7, 10]);
/// # }
/// ```
#[derive(Module, Debug)]
pub struct Linear {
    /// `[inputs, outputs]`.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// A layer with random weights.
    pub fn new(config: &LinearConfig, device: &Device) -> Self {
        config.init(device).into()
    }

    /// `[…, inputs]` to `[…, outputs]`.
    ///
    /// # Panics
    ///
    /// As burn's: if the last axis is not `inputs`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        #[cfg(feature = "flex")]
        if let Some(plan) = self.plan(&input) {
            let mut shape = input.dims();
            let [inputs, outputs] = self.weight.dims();
            let rows = input.reshape([-1, inputs as i32]);
            let output: Tensor<2> = super::flex::product(rows, self.weight.val(), plan);
            let output = match &self.bias {
                Some(bias) => output + bias.val().unsqueeze(),
                None => output,
            };
            shape[D - 1] = outputs;
            return output.reshape(shape);
        }
        self.as_burn().forward(input)
    }

    /// How to compute with the mask in scope; `None` without one, or where the kernels do not go.
    #[cfg(feature = "flex")]
    fn plan<const D: usize>(&self, input: &Tensor<D>) -> Option<super::flex::Plan> {
        use super::flex::structures;

        let scope = super::scope_for(input, &self.weight)?;
        let id = self.weight.id;
        let (density, meter) = (scope.masks.density(id)?, scope.masks.lasting(id)?);
        let sizes = self.weight.dims();
        let dims = input.dims();
        if dims[D - 1] != sizes[0] || dims.contains(&0) {
            return None;
        }
        let examples = dims[..D - 1].iter().product();
        let crossover = super::crossover::linear(sizes, examples);
        let structure = match super::is_sparse(scope.execution, density, crossover) {
            true => structures::linear(&scope.masks, id, sizes),
            false => None,
        };
        // Gradients of dead weights are a matrix product's: against those the kernels need dead
        // weights to be faster.
        let gradient = structure.clone().filter(|_| !scope.dense_gradient);
        let products = std::sync::Arc::new(super::flex::Linear {
            structure,
            gradient,
        });
        Some(super::flex::Plan { products, meter })
    }

    /// The same layer as burn's own; parameters are shared, not copied.
    pub fn as_burn(&self) -> BurnLinear {
        BurnLinear {
            weight: self.weight.clone(),
            bias: self.bias.clone(),
        }
    }
}

impl From<BurnLinear> for Linear {
    fn from(linear: BurnLinear) -> Self {
        Self {
            weight: linear.weight,
            bias: linear.bias,
        }
    }
}

impl<const D: usize> ForwardTangent<D> for Linear {
    fn forward_tangent(&self, direction: &Self, input: Dual<D>) -> Dual<D> {
        self.as_burn().forward_tangent(&direction.as_burn(), input)
    }
}
