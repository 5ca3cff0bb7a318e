//! A two-dimensional convolution that skips dead weights.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d as BurnConv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use super::record::record;
use crate::tangent::{Dual, ForwardTangent};

/// A drop-in replacement for burn's [`Conv2d`](BurnConv2d) that skips dead weights where that is
/// faster.
///
/// `y = W ⋆ x + b`, input `[batch, channels, height, width]`. Configuration, fields and record are
/// burn's. It computes densely, by burn's own arithmetic, until masks are in
/// [scope](crate::masks::Masks::run), which a training step sees to. Then, on the flex backend in
/// `f32` and with equal padding on opposite sides, it is sparse below a [measured
/// density](super::crossover). Dead weights get a gradient only in steps whose method asks for it.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::conv::Conv2dConfig, tensor::{Device, Tensor}};
/// use zosam::nn::Conv2d;
/// let device = Device::flex().autodiff();
/// let conv = Conv2d::new(&Conv2dConfig::new([3, 8], [3, 3]), &device);
/// let y = conv.forward(Tensor::zeros([1, 3, 28, 28], &device));
/// assert_eq!(y.dims(), [1, 8, 26, 26]);
/// # }
/// ```
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[channels_out, channels_in / groups, height, width]`.
    pub weight: Param<Tensor<4>>,
    /// `[channels_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Stride.
    pub stride: [usize; 2],
    /// Size of the kernel.
    pub kernel_size: [usize; 2],
    /// Dilation: the distance of two weights on the input.
    pub dilation: [usize; 2],
    /// Number of groups of channels, which do not see each other.
    pub groups: usize,
    /// Padding: zeros around the input.
    #[module(skip)]
    pub padding: PaddingConfig2d,
}

impl Conv2d {
    /// A convolution with random weights.
    ///
    /// # Panics
    ///
    /// As burn's `init`: if the channels are not multiples of the groups.
    pub fn new(config: &Conv2dConfig, device: &Device) -> Self {
        config.init(device).into()
    }

    /// `[batch, channels_in, height_in, width_in]` to
    /// `[batch, channels_out, height_out, width_out]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let output = self.computed(input);
        record(self.weight.id, &output);
        output
    }

    fn computed(&self, input: Tensor<4>) -> Tensor<4> {
        #[cfg(feature = "flex")]
        if let Some(plan) = self.plan(&input) {
            use super::flex::KernelOps;
            let weight = self.weight.val().into_dispatch();
            let output = burn::backend::Dispatch::masked(input.into_dispatch(), weight, plan);
            let output = Tensor::from_dispatch(output);
            return match &self.bias {
                Some(bias) => output + bias.val().reshape([1, -1, 1, 1]),
                None => output,
            };
        }
        self.as_burn().forward(input)
    }

    /// How to compute with the mask in scope; `None` without one, or where the kernels do not go.
    #[cfg(feature = "flex")]
    fn plan(&self, input: &Tensor<4>) -> Option<super::flex::Plan> {
        use super::flex::structures;
        use crate::kernels::ConvShape;
        use burn::tensor::ops::ConvOptions;

        let scope = super::scope_for(input, &self.weight)?;
        let id = self.weight.id;
        let (density, meter) = (scope.masks.density(id)?, scope.masks.lasting(id)?);
        let [_, channels, height, width] = input.dims();
        let padding = self.equal_padding([height, width])?;
        let [outputs, per_group, _, _] = self.weight.dims();
        if channels != per_group * self.groups {
            return None;
        }
        let shape = ConvShape::new([channels, outputs], self.kernel_size, [height, width])
            .with_stride(self.stride)
            .with_padding(padding)
            .with_dilation(self.dilation)
            .with_groups(self.groups);
        let crossover = super::crossover::conv(&shape);
        let structure = match super::is_sparse(scope.execution, density, crossover) {
            true => structures::conv(&scope.masks, id, shape),
            false => None,
        };
        // Where the kernels are faster than dense arithmetic even without a dead weight, they make
        // dense gradients, too.
        let gradient = match scope.dense_gradient {
            true if crossover > 1.0 => structures::whole_conv(&scope.masks, id, shape),
            true => None,
            false => structure.clone(),
        };
        let products = std::sync::Arc::new(super::flex::Conv {
            structure,
            gradient,
            options: ConvOptions::new(self.stride, padding, self.dilation, self.groups),
        });
        Some(super::flex::Plan { products, meter })
    }

    /// Rows and columns of zeros on either side, where both sides have as many: burn computes
    /// `Same` from the sizes.
    #[cfg(feature = "flex")]
    fn equal_padding(&self, input: [usize; 2]) -> Option<[usize; 2]> {
        match self.padding {
            PaddingConfig2d::Valid => Some([0, 0]),
            PaddingConfig2d::Explicit(top, left, bottom, right) => {
                (top == bottom && left == right).then_some([top, left])
            }
            PaddingConfig2d::Same => {
                let both = [0, 1].map(|axis| {
                    let stride = self.stride[axis];
                    let steps = input[axis].div_ceil(stride).saturating_sub(1);
                    (steps * stride + self.kernel_size[axis]).saturating_sub(input[axis])
                });
                (both.iter().all(|both| both % 2 == 0)).then(|| both.map(|both| both / 2))
            }
        }
    }

    /// The same layer as burn's own; parameters are shared, not copied.
    pub fn as_burn(&self) -> BurnConv2d {
        BurnConv2d {
            weight: self.weight.clone(),
            bias: self.bias.clone(),
            stride: self.stride,
            kernel_size: self.kernel_size,
            dilation: self.dilation,
            groups: self.groups,
            padding: self.padding.clone(),
        }
    }
}

impl From<BurnConv2d> for Conv2d {
    fn from(conv: BurnConv2d) -> Self {
        Self {
            weight: conv.weight,
            bias: conv.bias,
            stride: conv.stride,
            kernel_size: conv.kernel_size,
            dilation: conv.dilation,
            groups: conv.groups,
            padding: conv.padding,
        }
    }
}

impl ForwardTangent<4> for Conv2d {
    fn forward_tangent(&self, direction: &Self, input: Dual<4>) -> Dual<4> {
        self.as_burn().forward_tangent(&direction.as_burn(), input)
    }
}
