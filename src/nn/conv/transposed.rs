//! A two-dimensional transposed convolution that skips dead weights.

use burn::module::{Module, Param};
use burn::nn::conv::{ConvTranspose2d as BurnConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::{Device, Tensor};

use crate::nn::record::record;

/// A drop-in replacement for burn's [`ConvTranspose2d`](BurnConvTranspose2d) that skips dead
/// weights where that is faster.
///
/// `y = Wᵀ ⋆ x + b`, input `[batch, channels, height, width]`: what the convolution with the same
/// weight makes of a gradient of its output, so that the kernels are those of [`Conv2d`] with two
/// products exchanged. Configuration, fields and record are burn's. It computes densely, by burn's
/// own arithmetic, until masks are in [scope](crate::masks::Masks::run), which a training step sees
/// to. Then, on the flex backend in `f32` and with a `padding_out` below the stride, it is sparse
/// below a [density](crate::nn::crossover). Dead weights get a gradient only in steps whose method
/// asks for it.
///
/// [`Conv2d`]: crate::nn::Conv2d
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::{nn::conv::ConvTranspose2dConfig, tensor::{Device, Tensor}};
/// use zosam::nn::ConvTranspose2d;
/// let device = Device::flex().autodiff();
/// let config = ConvTranspose2dConfig::new([16, 8], [2, 2]).with_stride([2, 2]);
/// let up = ConvTranspose2d::new(&config, &device);
/// assert_eq!(up.forward(Tensor::zeros([1, 16, 7, 7], &device)).dims(), [1, 8, 14, 14]);
/// # }
/// ```
#[derive(Module, Debug)]
pub struct ConvTranspose2d {
    /// `[channels_in, channels_out / groups, height, width]`.
    pub weight: Param<Tensor<4>>,
    /// `[channels_out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Stride: outputs from one input to the next.
    pub stride: [usize; 2],
    /// Size of the kernel.
    pub kernel_size: [usize; 2],
    /// Dilation: the distance of two weights on the output.
    pub dilation: [usize; 2],
    /// Number of groups of channels, which do not see each other.
    pub groups: usize,
    /// Padding: rows and columns that are cut off on every side of the output.
    pub padding: [usize; 2],
    /// Rows and columns more at the bottom and on the right of the output.
    pub padding_out: [usize; 2],
    /// Channels of the input and of the output.
    pub channels: [usize; 2],
}

impl ConvTranspose2d {
    /// A transposed convolution with random weights.
    ///
    /// # Panics
    ///
    /// As burn's `init`: if the channels are not multiples of the groups.
    pub fn new(config: &ConvTranspose2dConfig, device: &Device) -> Self {
        config.init(device).into()
    }

    /// `[batch, channels_in, height_in, width_in]` to
    /// `[batch, channels_out, height_out, width_out]`, on each axis
    /// `out = (in − 1) stride + dilation (kernel − 1) + 1 + padding_out − 2 padding`.
    ///
    /// # Panics
    ///
    /// As burn's: if the input has other channels, or padding leaves nothing of the output.
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
        use crate::nn::flex::{ConvTranspose, Plan};

        let shape = || self.mirrored(input.dims());
        let (conv, meter) = super::plan::products(input, &self.weight, shape)?;
        let padding_out = self.padding_out;
        let products = std::sync::Arc::new(ConvTranspose { conv, padding_out });
        Some(Plan { products, meter })
    }

    /// The convolution that goes the other way; `None` if the channels do not fit or it has another
    /// output than this one's input, as with a `padding_out` of a stride and more.
    #[cfg(feature = "flex")]
    fn mirrored(&self, input: [usize; 4]) -> Option<crate::kernels::ConvShape> {
        let [_, channels, height, width] = input;
        let [inputs, per_group, rows, columns] = self.weight.dims();
        let (size, kernel) = ([height, width], [rows, columns]);
        let output = |axis: usize| {
            let first = size[axis].checked_sub(1)? * self.stride[axis];
            let last = first + kernel[axis].checked_sub(1)? * self.dilation[axis];
            (last + 1 + self.padding_out[axis]).checked_sub(2 * self.padding[axis])
        };
        let channels_out = per_group * self.groups;
        let output = [output(0)?, output(1)?];
        let shape = crate::kernels::ConvShape::new([channels_out, inputs], kernel, output)
            .with_stride(self.stride)
            .with_padding(self.padding)
            .with_dilation(self.dilation)
            .with_groups(self.groups);
        (channels == inputs && shape.output_size() == size).then_some(shape)
    }

    /// The same layer as burn's own; parameters are shared, not copied.
    pub fn as_burn(&self) -> BurnConvTranspose2d {
        BurnConvTranspose2d {
            weight: self.weight.clone(),
            bias: self.bias.clone(),
            stride: self.stride,
            kernel_size: self.kernel_size,
            dilation: self.dilation,
            groups: self.groups,
            padding: self.padding,
            padding_out: self.padding_out,
            channels: self.channels,
        }
    }
}

impl From<BurnConvTranspose2d> for ConvTranspose2d {
    fn from(conv: BurnConvTranspose2d) -> Self {
        Self {
            weight: conv.weight,
            bias: conv.bias,
            stride: conv.stride,
            kernel_size: conv.kernel_size,
            dilation: conv.dilation,
            groups: conv.groups,
            padding: conv.padding,
            padding_out: conv.padding_out,
            channels: conv.channels,
        }
    }
}
