//! The shape of a convolution, checked once.

use crate::error::{Error, Result};

/// What a convolution maps: images `[N, channels, height, width]`, weights
/// `[outputs, channels / groups, kernel height, kernel width]`. Pairs are (rows, columns).
///
/// ```
/// use zosam::kernels::ConvShape;
///
/// let shape = ConvShape::new([16, 32], [3, 3], [32, 32]).with_padding([1, 1]).with_stride([2, 2]);
/// assert_eq!(shape.output_size(), [16, 16]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Input channels and output channels.
    pub channels: [usize; 2],
    /// Size of the kernel.
    pub kernel: [usize; 2],
    /// Size of the input planes.
    pub input: [usize; 2],
    /// Inputs from one output to the next. Default 1.
    pub stride: [usize; 2],
    /// Zeros around the input on either side. Default 0.
    pub padding: [usize; 2],
    /// Inputs from one weight to the next. Default 1.
    pub dilation: [usize; 2],
    /// Groups of channels that do not see each other. Default 1.
    pub groups: usize,
}

impl ConvShape {
    /// Stride 1, no padding, no dilation, one group.
    pub fn new(channels: [usize; 2], kernel: [usize; 2], input: [usize; 2]) -> Self {
        Self {
            channels,
            kernel,
            input,
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
        }
    }

    /// Sets the stride, at least 1.
    pub fn with_stride(mut self, stride: [usize; 2]) -> Self {
        self.stride = stride;
        self
    }

    /// Sets the padding.
    pub fn with_padding(mut self, padding: [usize; 2]) -> Self {
        self.padding = padding;
        self
    }

    /// Sets the dilation, at least 1.
    pub fn with_dilation(mut self, dilation: [usize; 2]) -> Self {
        self.dilation = dilation;
        self
    }

    /// Sets the groups, a divisor of both numbers of channels.
    pub fn with_groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Size of the output planes: `⌊(input + 2 padding − dilation (kernel − 1) − 1) / stride⌋ + 1`,
    /// or 0 where the kernel does not fit.
    pub fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let span = self.dilation[axis].saturating_mul(self.kernel[axis].saturating_sub(1));
            let padded = self.input[axis].saturating_add(self.padding[axis].saturating_mul(2));
            match padded.checked_sub(span.saturating_add(1)) {
                Some(rest) => rest / self.stride[axis].max(1) + 1,
                None => 0,
            }
        })
    }

    /// Numbers in one input image.
    pub fn inputs(&self) -> usize {
        self.channels[0] * self.input[0] * self.input[1]
    }

    /// Numbers in one output image.
    pub fn outputs(&self) -> usize {
        let [height, width] = self.output_size();
        self.channels[1] * height * width
    }

    /// Numbers in the dense weights.
    pub fn weights(&self) -> usize {
        self.channels[1] * (self.channels[0] / self.groups.max(1)) * self.kernel[0] * self.kernel[1]
    }

    pub(crate) fn check(&self) -> Result<()> {
        let groups = self.groups;
        let divides = groups > 0 && self.channels.iter().all(|c| c % groups == 0);
        config(
            "groups",
            groups,
            divides,
            "a divisor of both numbers of channels",
        )?;
        for axis in [0, 1] {
            config(
                "kernel",
                self.kernel[axis],
                self.kernel[axis] > 0,
                "at least 1",
            )?;
            config(
                "stride",
                self.stride[axis],
                self.stride[axis] > 0,
                "at least 1",
            )?;
            config(
                "dilation",
                self.dilation[axis],
                self.dilation[axis] > 0,
                "at least 1",
            )?;
        }
        for (index, channels) in self.channels.into_iter().enumerate() {
            let field = ["input channels", "output channels"][index];
            config(field, channels, channels > 0, "at least 1")?;
        }
        // Offsets are 32 bits wide and products of sizes must not overflow; no real layer comes
        // near.
        let steps = [self.kernel, self.stride, self.padding, self.dilation];
        let largest = steps.into_iter().flatten().max().unwrap_or(0);
        let limit = "at most 8192 on every axis";
        config(
            "kernel, stride, padding or dilation",
            largest,
            largest <= 1 << 13,
            limit,
        )?;
        let padded = [0, 1].map(|axis| (self.input[axis] as f64) + 2.0 * self.padding[axis] as f64);
        let pixels = padded[0] * padded[1];
        crate::error::check(
            "pixels of a plane",
            pixels,
            pixels < f64::from(u32::MAX),
            "below 2³²",
        )?;
        for axis in [0, 1] {
            config(
                "input size",
                self.input[axis],
                self.input[axis] > 0,
                "at least 1",
            )?;
            let outputs = self.output_size()[axis];
            config(
                "output size",
                outputs,
                outputs > 0,
                "at least 1: the kernel must fit",
            )?;
        }
        let most = *self.channels.iter().max().unwrap_or(&0);
        config("channels", most, most <= 1 << 20, "at most 1048576")?;
        let pairs = (self.channels[0] / self.groups * self.channels[1]) as f64;
        let weights = pairs * (self.kernel[0] * self.kernel[1]) as f64;
        crate::error::check(
            "weights",
            weights,
            weights < f64::from(u32::MAX),
            "below 2³²",
        )
    }
}

fn config(field: &'static str, value: usize, holds: bool, valid: &'static str) -> Result<()> {
    crate::error::check(field, value as f64, holds, valid)
}

/// The number of examples in a slice, checked to be whole.
pub(crate) fn examples(what: &'static str, slice: &[f32], per_example: usize) -> Result<usize> {
    if per_example > 0 && slice.len().is_multiple_of(per_example) {
        return Ok(slice.len() / per_example);
    }
    Err(Error::Length {
        what,
        found: slice.len(),
        expected: format!("a multiple of {per_example}"),
    })
}

/// Checks the length of a slice.
pub(crate) fn length(what: &'static str, found: usize, expected: usize) -> Result<()> {
    match found == expected {
        true => Ok(()),
        false => Err(Error::Length {
            what,
            found,
            expected: expected.to_string(),
        }),
    }
}
