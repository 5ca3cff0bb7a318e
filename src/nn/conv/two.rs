//! A two-dimensional convolution that skips dead weights.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d as BurnConv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};

use crate::nn::record::record;
use crate::tangent::{Dual, ForwardTangent};

/// A drop-in replacement for burn's [`Conv2d`](BurnConv2d) that skips dead weights where that is
/// faster.
///
/// `y = W ⋆ x + b`, input `[batch, channels, height, width]`. Configuration, fields and record are
/// burn's. It computes densely, by burn's own arithmetic, until masks are in
/// [scope](crate::masks::Masks::run), which a training step sees to. Then, on the flex backend in
/// `f32` and with equal padding on opposite sides, it is sparse below a [measured
/// density](crate::nn::crossover). Dead weights get a gradient only in steps whose method asks for it.
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
            let output = crate::nn::flex::product(input, self.weight.val(), plan);
            return match &self.bias {
                Some(bias) => output + bias.val().reshape([1, -1, 1, 1]),
                None => output,
            };
        }
        self.as_burn().forward(input)
    }

    #[cfg(feature = "flex")]
    fn plan(&self, input: &Tensor<4>) -> Option<crate::nn::flex::Plan> {
        let shape = || self.shape(input.dims());
        let (products, meter) = super::plan::products(input, &self.weight, shape)?;
        let products = std::sync::Arc::new(products);
        Some(crate::nn::flex::Plan { products, meter })
    }

    /// What is convolved; `None` if padding differs between sides or the channels do not fit.
    #[cfg(feature = "flex")]
    fn shape(&self, input: [usize; 4]) -> Option<crate::kernels::ConvShape> {
        let [_, channels, height, width] = input;
        let [outputs, per_group, rows, columns] = self.weight.dims();
        let padding = self.equal_padding([height, width])?;
        let shape =
            crate::kernels::ConvShape::new([channels, outputs], [rows, columns], [height, width])
                .with_stride(self.stride)
                .with_padding(padding)
                .with_dilation(self.dilation)
                .with_groups(self.groups);
        (channels == per_group * self.groups).then_some(shape)
    }

    /// Rows and columns of zeros on either side, where both sides have as many.
    #[cfg(feature = "flex")]
    fn equal_padding(&self, input: [usize; 2]) -> Option<[usize; 2]> {
        let same =
            |axis: usize| super::plan::same(input[axis], self.kernel_size[axis], self.stride[axis]);
        match self.padding {
            PaddingConfig2d::Valid => Some([0, 0]),
            PaddingConfig2d::Explicit(top, left, bottom, right) => {
                (top == bottom && left == right).then_some([top, left])
            }
            PaddingConfig2d::Same => Some([same(0)?, same(1)?]),
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
