//! A one-dimensional convolution that skips dead weights.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig1d;
use burn::nn::conv::{Conv1d as BurnConv1d, Conv1dConfig};
use burn::tensor::{Device, Tensor};

use crate::nn::record::record;

/// A drop-in replacement for burn's [`Conv1d`](BurnConv1d) that skips dead weights where that is
/// faster.
///
/// `y = W ⋆ x + b`, input `[batch, channels, length]`: to the kernels a sequence is an image of one
/// row. Configuration, fields and record are burn's. It computes densely, by burn's own arithmetic,
/// until masks are in [scope](crate::masks::Masks::run), which a training step sees to. Then, on
/// the flex backend in `f32` and with equal padding on both sides, it is sparse below a
/// [density](crate::nn::crossover). Dead weights get a gradient only in steps whose method asks for
/// it.
///
/// On flex burn 0.22.1's gradient of `W` is wrong, and so is this layer's where it leaves the
/// arithmetic to burn's, if there are several groups and
/// `length + 2 padding − dilation (kernel − 1) − 1` is no multiple of the stride. The kernels' is
/// right.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::conv::Conv1dConfig, tensor::{Device, Tensor}};
/// use zosam::nn::Conv1d;
/// let device = Device::flex().autodiff();
/// let conv = Conv1d::new(&Conv1dConfig::new(3, 8, 5), &device);
/// assert_eq!(conv.forward(Tensor::zeros([2, 3, 40], &device)).dims(), [2, 8, 36]);
/// # }
/// ```
#[derive(Module, Debug)]
pub struct Conv1d {
    /// `[channels_out, channels_in / groups, length]`.
    pub weight: Param<Tensor<3>>,
    /// `[channels_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Stride.
    pub stride: usize,
    /// Size of the kernel.
    pub kernel_size: usize,
    /// Dilation: the distance of two weights on the input.
    pub dilation: usize,
    /// Number of groups of channels, which do not see each other.
    pub groups: usize,
    /// Padding: zeros around the input.
    #[module(skip)]
    pub padding: PaddingConfig1d,
}

impl Conv1d {
    /// A convolution with random weights.
    ///
    /// # Panics
    ///
    /// As burn's `init`: if the channels are not multiples of the groups.
    pub fn new(config: &Conv1dConfig, device: &Device) -> Self {
        config.init(device).into()
    }

    /// `[batch, channels_in, length_in]` to `[batch, channels_out, length_out]`.
    ///
    /// # Panics
    ///
    /// As burn's: if the input has other channels, or is shorter than the kernel.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let output = self.computed(input);
        record(self.weight.id, &output);
        output
    }

    fn computed(&self, input: Tensor<3>) -> Tensor<3> {
        #[cfg(feature = "flex")]
        if let Some(plan) = self.plan(&input) {
            let [input, weight] = [input, self.weight.val()].map(|of| of.unsqueeze_dim::<4>(2));
            let output = crate::nn::flex::product(input, weight, plan).squeeze_dim::<3>(2);
            return match &self.bias {
                Some(bias) => output + bias.val().reshape([1, -1, 1]),
                None => output,
            };
        }
        self.as_burn().forward(input)
    }

    #[cfg(feature = "flex")]
    fn plan(&self, input: &Tensor<3>) -> Option<crate::nn::flex::Plan> {
        let shape = || self.shape(input.dims());
        let (products, meter) = super::plan::products(input, &self.weight, shape)?;
        let products = std::sync::Arc::new(products);
        Some(crate::nn::flex::Plan { products, meter })
    }

    /// What is convolved, as images of one row; `None` if padding differs between sides or the
    /// channels do not fit.
    #[cfg(feature = "flex")]
    fn shape(&self, input: [usize; 3]) -> Option<crate::kernels::ConvShape> {
        let [_, channels, length] = input;
        let [outputs, per_group, kernel] = self.weight.dims();
        let padding = match self.padding {
            PaddingConfig1d::Valid => 0,
            PaddingConfig1d::Explicit(left, right) => (left == right).then_some(left)?,
            PaddingConfig1d::Same => super::plan::same(length, self.kernel_size, self.stride)?,
        };
        let shape = crate::kernels::ConvShape::new([channels, outputs], [1, kernel], [1, length])
            .with_stride([1, self.stride])
            .with_padding([0, padding])
            .with_dilation([1, self.dilation])
            .with_groups(self.groups);
        (channels == per_group * self.groups).then_some(shape)
    }

    /// The same layer as burn's own; parameters are shared, not copied.
    pub fn as_burn(&self) -> BurnConv1d {
        BurnConv1d {
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

impl From<BurnConv1d> for Conv1d {
    fn from(conv: BurnConv1d) -> Self {
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
